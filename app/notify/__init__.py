"""Telling others what happened: the outbox, and the channels by which deliveries go out."""
