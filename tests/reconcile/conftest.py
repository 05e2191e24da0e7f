"""The fixtures of stores, for what runs against either."""

from tests.store.conftest import open_store, runner, settings, store, work

__all__ = ["open_store", "runner", "settings", "store", "work"]
