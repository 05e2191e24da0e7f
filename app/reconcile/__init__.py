"""Asks Edges what it believes of a run, and puts what it learns into the log."""
