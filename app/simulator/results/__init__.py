"""Results as the actions return them, made up from a seed."""
