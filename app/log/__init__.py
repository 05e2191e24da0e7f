"""The log: what is durable, and when a sender may be told so."""
