"""Where things are kept: the protocols that a store keeps, and the stores."""
