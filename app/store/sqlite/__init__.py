"""The embedded store: two SQLite files, each written by exactly one process."""
