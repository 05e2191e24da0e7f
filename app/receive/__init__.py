"""The hot path: authenticate, bound, read the ids, hand to the log, answer."""
