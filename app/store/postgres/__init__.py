"""The store in PostgreSQL, shared by any number of replicas. Needs the extra `postgres`."""
