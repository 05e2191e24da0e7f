"""Reading a copy back out of PostgreSQL, to compare it with its source."""

from collections.abc import Iterator
from contextlib import contextmanager

import zstandard

from app.model import Logged, RunId
from app.store.api_keys import COLUMNS as KEY_COLUMNS
from app.store.api_keys import ApiKeyRow
from app.store.copying import (
    DamagedError,
    Derived,
    Indexed,
    KeptBody,
    KeptSchedule,
    MissedIteration,
    Repeats,
)
from app.store.erasures import COLUMNS, ErasureRow
from app.store.postgres.driver import BlockingConnection
from app.store.postgres.log_reader import PostgresLogReader
from app.store.rows import Claim

_READ_CALLBACKS = 2_000
_READ_BYTES = 4 * 1024 * 1024
_ROWS_AT_ONCE = 2_000
_SCHEDULES_AT_ONCE = 50

_KEPT_COLUMNS = ", ".join(KeptBody._fields)

_UNPROJECTED = """
    SELECT coalesce(sum(l.next_seq - coalesce(p.next_seq, 1)), 0)::bigint
    FROM log_runs l LEFT JOIN projections p USING (run_uid) WHERE l.is_dirty
"""
_INDEXED = """
    SELECT k.*, c.* FROM
        (SELECT count(*), coalesce(sum(seq), 0)::bigint FROM callback_keys WHERE run_uid = $1) k,
        (SELECT count(*), coalesce(sum(seq), 0)::bigint FROM conflicts WHERE run_uid = $1) c
"""


class PostgresReadBack:
    """What a database holds, run by run, in constant memory."""

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self._log = PostgresLogReader(connection)

    def callbacks_of(self, run_uid: str) -> Iterator[Logged]:
        """The log of one run, in order. Raises DamagedError."""
        for (before_seq,) in self._connection.fetch(
            "SELECT next_seq FROM log_runs WHERE run_uid = $1", run_uid
        ):
            claim = Claim(RunId(0, run_uid), 1, before_seq)
            while claim.from_seq < before_seq:
                with _damage():
                    callbacks, next_seq = self._log.read(
                        claim, callbacks_max=_READ_CALLBACKS, bytes_max=_READ_BYTES
                    )
                yield from callbacks
                claim = claim._replace(from_seq=next_seq)

    def callback(self, run: RunId, seq: int) -> Logged:
        """One callback. Raises LookupError if the log has none there, DamagedError."""
        with _damage():
            return self._log.callback(run, seq)

    def indexed(self, run_uid: str) -> Indexed:
        """What the indexes say that a run's log holds."""
        return Indexed(*self._connection.fetch(_INDEXED, run_uid)[0])

    def run_count(self) -> int:
        """How many runs there are."""
        return int(self._connection.fetch("SELECT count(*) FROM log_runs")[0][0])

    def repeats_of(self, run_uid: str) -> Repeats:
        """What of a run came again; nothing if there is no such run."""
        rows = self._connection.fetch(
            "SELECT duplicates, respelled FROM log_runs WHERE run_uid = $1", run_uid
        )
        return Repeats(*rows[0]) if rows else Repeats(0, is_respelled=False)

    def quarantine(self) -> Iterator[KeptBody]:
        """The quarantine, by id."""
        after = ""
        while rows := self._connection.fetch(
            "SELECT quarantine_id FROM quarantine WHERE quarantine_id > $1"
            " ORDER BY quarantine_id LIMIT $2",
            after,
            _ROWS_AT_ONCE,
        ):
            for (after,) in rows:
                for row in self._connection.fetch(
                    f"SELECT {_KEPT_COLUMNS} FROM quarantine WHERE quarantine_id = $1", after
                ):
                    yield KeptBody(*row)

    # ------------------------------------------------------------- schedules

    def schedules(self) -> Iterator[KeptSchedule]:
        """What Edges said of schedules, by uid."""
        after = ""
        while rows := self._connection.fetch(
            f"SELECT {', '.join(KeptSchedule._fields)} FROM schedules WHERE schedule_uid > $1"
            " ORDER BY schedule_uid LIMIT $2",
            after,
            _SCHEDULES_AT_ONCE,
        ):
            yield from (KeptSchedule(*row) for row in rows)
            after = rows[-1][0]

    def missed_iterations(self) -> Iterator[MissedIteration]:
        """Their iterations that were noted as missed, by schedule and time."""
        after: tuple[str, int] = ("", 0)
        while rows := self._connection.fetch(
            f"SELECT {', '.join(MissedIteration._fields)} FROM missed_iterations"
            " WHERE (schedule_uid, due_ms) > ($1, $2) ORDER BY schedule_uid, due_ms LIMIT $3",
            *after,
            _ROWS_AT_ONCE,
        ):
            yield from (MissedIteration(*row) for row in rows)
            after = rows[-1][0], rows[-1][1]

    def erasures(self) -> list[ErasureRow]:
        """What was erased, and is being erased, oldest first."""
        return [
            ErasureRow(*row)
            for row in self._connection.fetch(f"SELECT {COLUMNS} FROM erasures ORDER BY erasure_id")
        ]

    def api_keys(self) -> list[ApiKeyRow]:
        """Keys of the API, by id."""
        return [
            ApiKeyRow(*row)
            for row in self._connection.fetch(f"SELECT {KEY_COLUMNS} FROM api_keys ORDER BY key_id")
        ]

    # --------------------------------------------------------------- derived

    def unprojected(self) -> int:
        """How many callbacks are not projected yet."""
        return int(self._connection.fetch(_UNPROJECTED)[0][0])

    def derived(self, run_uid: str) -> Derived | None:
        """What is derived of a run; None if nothing is."""
        rows = self._connection.fetch(
            "SELECT results, inputs FROM runs WHERE run_uid = $1", run_uid
        )
        return Derived(*rows[0]) if rows else None

    def results(self) -> int:
        """How many results all runs have together."""
        return int(
            self._connection.fetch("SELECT coalesce(sum(results), 0)::bigint FROM runs")[0][0]
        )


@contextmanager
def _damage() -> Iterator[None]:
    """Turn what a frame may raise that is not one into DamagedError."""
    try:
        yield
    except (zstandard.ZstdError, ValueError) as error:
        raise DamagedError(f"a segment is damaged: {error}") from error
