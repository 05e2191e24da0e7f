"""Erasing runs and people, on request or when their time is over."""
