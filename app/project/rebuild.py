"""Deriving everything again from the log, beside what is there, and then in its place."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from app.project.projector import Projector
from app.store.sqlite.log_reader import SqliteLogReader
from app.store.sqlite.projection import SqliteProjection


def rebuild(
    log_path: Path,
    projection_path: Path,
    result_keys: Sequence[str],
    on_progress: Callable[[int, int], None],
) -> int:
    """Derive all runs, inputs and counts again; the number of callbacks read.

    Works on a stopped collector and on a running one: the new projection is made in a
    file beside the old one and replaces it in one step; what arrives meanwhile is
    projected afterwards as ever. `on_progress` hears (callbacks done, callbacks in all).
    Raises OperationalError if there is no log at `log_path`.
    """
    log = SqliteLogReader(log_path)
    with tempfile.TemporaryDirectory(
        prefix="rebuild-", dir=projection_path.parent, ignore_cleanup_errors=True
    ) as folder:
        fresh = SqliteProjection(Path(folder) / "projection.db")
        projector = Projector(log, fresh, result_keys)
        total = log.next_seq() - 1
        done = 0
        on_progress(0, total)
        while (batch := projector.project_batch()) is not None:
            done += batch.callbacks
            on_progress(done, max(total, done))
        old = SqliteProjection(projection_path)
        old.replace_with(fresh)
        old.close()
        fresh.close()
    log.close()
    return done
