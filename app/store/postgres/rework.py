"""Deriving runs anew of which bodies changed in the log: each in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from app.model import RunId
from app.store.anew import Anew
from app.store.postgres.driver import BlockingConnection
from app.store.postgres.projection import DERIVED_TABLES, PostgresProjection
from app.store.protocol import Projection

LOOK_S = 0.5
"""Between two looks whether there is any: they are seldom."""

_TAKE = """
    DELETE FROM reworked WHERE run_uid = (
        SELECT run_uid FROM reworked ORDER BY run_uid LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING run_uid
"""


class PostgresRework:
    """What a worker does for erasures: see `app.store.postgres.erasures`."""

    def __init__(self, connection: BlockingConnection, projection: PostgresProjection) -> None:
        self._connection = connection
        self._projection = projection
        self._looked_s = 0.0

    @contextmanager
    def next(self) -> Iterator[Projection | None]:
        """A run to be derived anew, by projecting all that this gives; None if there is none.

        It takes effect as a whole when the block ends. A worker that is at the run finds its
        lease gone, and whoever changes bodies of it again waits, and has it derived once more.
        """
        if monotonic() - self._looked_s < LOOK_S:
            yield None
            return
        if not self._connection.fetch("SELECT 1 FROM reworked LIMIT 1"):
            self._looked_s = monotonic()  # where there is one, there may be more
            yield None
            return
        with self._connection.transaction():
            yield self._taken()

    def _taken(self) -> Projection | None:
        for (run_uid,) in self._connection.fetch(_TAKE):
            progress = self._connection.fetch(
                "UPDATE projections SET derivation = derivation + 1, leased_by = NULL,"
                " leased_until = '-infinity' WHERE run_uid = $1 RETURNING next_seq",
                run_uid,
            )
            for table in DERIVED_TABLES:
                self._connection.execute(f"DELETE FROM {table} WHERE run_uid = $1", run_uid)
            for (next_seq,) in progress:
                run = RunId(0, run_uid)
                return Anew(self._projection, run, next_seq, self._projection.write)
        return None
