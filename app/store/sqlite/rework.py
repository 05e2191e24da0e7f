"""Deriving runs anew of which bodies changed in the log, and leaving no trace of what was."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.store.anew import Anew
from app.store.protocol import Projection
from app.store.sqlite.driver import Error
from app.store.sqlite.log_reader import SqliteLogReader
from app.store.sqlite.projection import SqliteProjection

log = structlog.get_logger("store")


class SqliteRework:
    """What the worker does for erasures: see `app.store.sqlite.erasures`."""

    def __init__(self, log: SqliteLogReader, projection: SqliteProjection) -> None:
        self._log = log
        self._projection = projection

    @contextmanager
    def next(self) -> Iterator[Projection | None]:
        """A run to be derived anew, by projecting all that this gives; None if there is none.

        It takes effect as a whole when the block ends: until then readers see what was.
        """
        found = self._log.reworked_after(self._projection.reworked_no())
        if found is None:
            self._scrub()
            yield None
            return
        run, rework_no = found
        with self._projection.transaction():
            if self._projection.has_untold(run) and self._log.has_any(run):
                yield None  # what waits to be told is looked through where it is told
                return
            self._projection.drop_run(run)
            before_seq = self._projection.next_seq()
            yield Anew(self._projection, run, before_seq, self._projection.write)
            self._projection.note_reworked(rework_no)

    def _scrub(self) -> None:
        wanted = self._log.scrub_wanted()
        if self._projection.scrubbed_no() < wanted <= self._projection.reworked_no():
            try:
                self._projection.scrub(wanted)
            except Error as error:  # such as a full disk: projecting goes on, and it is tried again
                log.warning("what is derived is not rewritten", reason=str(error))
