"""What the stages ask of a store. Each store implements it; one suite tests them all."""


class StoreError(Exception):
    """Base of what a store raises. The message says what happened, where, and what to do."""


class LogUnavailableError(StoreError):
    """The log cannot take more now; nothing of the batch was stored."""


class SchemaError(StoreError):
    """The database's schema is not one that this version can work with."""
