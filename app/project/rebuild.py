"""Deriving everything again from the log, beside what is there, and then in its place."""

from collections.abc import Callable

from app.project.projector import projector_of
from app.settings import Settings
from app.store.database import Rebuild


def rebuild(store: Rebuild, settings: Settings, on_progress: Callable[[int, int], None]) -> int:
    """Derive all runs, inputs and counts again; the number of callbacks read.

    Works on a stopped collector and on a running one: the new projection is made beside
    the old one and replaces it in one step; what arrives meanwhile is projected afterwards
    as ever. `on_progress` hears (callbacks done, callbacks in all).
    """
    projector = projector_of(store, settings)
    total = store.log.size()
    done = 0
    on_progress(0, total)
    while (batch := projector.project_batch()) is not None:
        done += batch.callbacks
        on_progress(done, max(total, done))
    store.replace()
    return done
