"""Where results are written to, run by run: files, folders, object stores, tables."""
