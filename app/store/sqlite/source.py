"""A SQLite database as a copy reads it: as of one moment, and without changing it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import zstandard

from app.model import Logged, RunId
from app.store.api_keys import COLUMNS as KEY_COLUMNS
from app.store.api_keys import ApiKeyRow
from app.store.copying import (
    DamagedError,
    Derived,
    KeptBody,
    KeptSchedule,
    MissedIteration,
    Repeats,
    Unlogged,
)
from app.store.erasures import COLUMNS, ErasureRow
from app.store.protocol import NoLogError, SchemaError, StoreUnavailableError
from app.store.sqlite.driver import Error
from app.store.sqlite.log import SCHEMA
from app.store.sqlite.log_reader import SqliteLogReader
from app.store.sqlite.migrations import states
from app.store.sqlite.outbox_source import SqliteOutboxSource

_IS_LOGGED = (
    "EXISTS (SELECT 1 FROM main.segments s INDEXED BY segments_by_run WHERE s.run_no = r.run_no)"
)
_MAGIC = b"SQLite format 3\0"


class SqliteSource(SqliteLogReader):
    """The log's reader, and what else a copy asks of a database.

    It sees what was committed when it was opened, whatever is appended meanwhile.
    """

    def __init__(self, log_path: Path, projection_path: Path, outbox_path: Path) -> None:
        """Raises NoLogError or SchemaError, see `opened`."""
        if not log_path.is_file():
            raise NoLogError(f"there is no SQLite database at {log_path}: check --from")
        with log_path.open("rb") as file:
            if file.read(len(_MAGIC)) not in (_MAGIC, b""):
                raise SchemaError(f"{log_path} is not a log of the collector, nor any SQLite file")
        super().__init__(log_path)
        try:
            self._check(log_path)
            self._has_projection = self._attached(projection_path)
            self.outbox = SqliteOutboxSource(self._connection, outbox_path)
            self._connection.execute("BEGIN")  # whose view of each file begins with its first use
            next_seq = self.size() + 1
            self.is_projected()
            # After the log: what left it meanwhile is here.
            self.announced_seq = self.outbox.announced_seq(next_seq)
            """Before it all events are told."""
        except BaseException:
            self.close()
            raise

    @classmethod
    @contextlib.contextmanager
    def opened(cls, log_path: Path, projection_path: Path, outbox_path: Path) -> Iterator[Self]:
        """The source, for as long as a copy takes.

        Raises NoLogError if there is none, SchemaError if it is of another version or no log
        at all, and StoreUnavailableError within for whatever keeps it from being read.
        """
        try:
            with contextlib.closing(cls(log_path, projection_path, outbox_path)) as source:
                yield source
        except (Error, OSError) as error:
            raise StoreUnavailableError(f"{log_path} cannot be read: {error}") from error

    def _check(self, path: Path) -> None:
        (is_log,) = self._connection.execute(
            "SELECT count(*) = 2 FROM sqlite_master WHERE name IN ('segments', 'migrations')"
        ).fetchone()
        if not is_log:
            raise SchemaError(
                f"{path} is not a log of the collector: it has no segments of callbacks. In the"
                " data folder the log is collector.db"
            )
        (log_state,) = states({SCHEMA: path})
        if log_state.pending:
            raise SchemaError(
                f"{path} was written by an earlier version, and lacks"
                f" {', '.join(log_state.pending)}: run `edges-collector migrate up` on it first"
            )

    def _attached(self, path: Path) -> bool:
        """Whether there is a projection that this version can read beside the log."""
        if not path.is_file():
            return False
        try:
            self._connection.execute("ATTACH DATABASE ? AS projection", (str(path),))
            self._connection.execute(
                "SELECT next_seq, results FROM projection.progress LEFT JOIN projection.runs"
            ).fetchone()
        except Error:  # no reason not to copy: all of it can be derived again
            return False
        return True

    # -------------------------------------------------------------------- log

    def runs(self) -> Iterator[tuple[RunId, Repeats]]:
        """Each run, by uid, with what came again; none of which all was erased."""
        for run_no, run_uid, duplicates, respelled in self._connection.execute(
            "SELECT run_no, run_uid, duplicates, respelled FROM main.runs r"
            f" WHERE {_IS_LOGGED} ORDER BY run_uid"
        ):
            yield RunId(run_no, run_uid), Repeats(duplicates, bool(respelled))

    def run_count(self) -> int:
        """How many runs there are."""
        (count,) = self._connection.execute(
            f"SELECT count(*) FROM main.runs r WHERE {_IS_LOGGED}"
        ).fetchone()
        return int(count)

    def callbacks_of(self, run: RunId) -> Iterator[Logged]:
        """The log of one run, in order. Raises DamagedError."""
        for first_seq, run_no, frame in self._connection.execute(
            "SELECT first_seq, run_no, frame FROM segments INDEXED BY segments_by_run"
            " WHERE run_no = ? ORDER BY first_seq",
            (run.no,),
        ):
            yield from self._unpacked(first_seq, run_no, frame)

    def callback_at(self, seq: int) -> Logged | None:
        """One callback, of whichever run; None if the log has none there."""
        row = self._connection.execute(
            "SELECT first_seq, run_no, frame FROM segments WHERE first_seq <= ?"
            " ORDER BY first_seq DESC LIMIT 1",
            (seq,),
        ).fetchone()
        found = self._unpacked(*row) if row else []
        return next((logged for logged in found if logged.seq == seq), None)

    def announced(self, from_seq: int, before_seq: int) -> Iterator[tuple[str, int]]:
        """Each run with callbacks in this range, and which of its own is the first beyond.

        A run's first callback is its 1, as a target numbers them.
        """
        for run_uid, callbacks in self._connection.execute(
            "SELECT run_uid, (SELECT sum(min(callbacks, ?2 - first_seq))"
            " FROM main.segments s INDEXED BY segments_by_run"
            " WHERE s.run_no = r.run_no AND s.first_seq < ?2)"
            " FROM main.runs r WHERE run_no IN (SELECT run_no FROM main.segments"
            " WHERE first_seq + callbacks > ?1 AND first_seq < ?2) ORDER BY run_uid",
            (from_seq, before_seq),
        ):
            yield run_uid, callbacks + 1

    def _unpacked(self, first_seq: int, run_no: int, frame: bytes) -> list[Logged]:
        try:
            return super()._unpacked(first_seq, run_no, frame)
        except (zstandard.ZstdError, ValueError) as error:
            raise DamagedError(f"the source's segment {first_seq} is damaged: {error}") from error

    # ------------------------------------------------------------- quarantine

    def quarantine(self) -> Iterator[KeptBody]:
        """The quarantine, by id."""
        for row in self._connection.execute(
            "SELECT quarantine_id, body_digest, received_ms, last_received_ms, times_seen,"
            " reason, detail, content_type, body_bytes, frame FROM quarantine"
            " ORDER BY quarantine_id"
        ):
            yield KeptBody(*row)

    # -------------------------------------------------------------- schedules

    def schedules(self) -> Iterator[KeptSchedule]:
        """What Edges said of schedules, by uid."""
        for row in self._connection.execute(
            f"SELECT {', '.join(KeptSchedule._fields)} FROM schedules ORDER BY schedule_uid"
        ):
            yield KeptSchedule(*row)

    def missed_iterations(self) -> Iterator[MissedIteration]:
        """Their iterations that were noted as missed, by schedule and time."""
        for row in self._connection.execute(
            f"SELECT {', '.join(MissedIteration._fields)} FROM missed_iterations"
            " ORDER BY schedule_uid, due_ms"
        ):
            yield MissedIteration(*row)

    def unlogged(self) -> Unlogged:
        """All that is kept beside the callbacks."""
        ((erasure_key,),) = self._connection.execute("SELECT erasure_key FROM log_state").fetchall()
        return Unlogged(
            self.quarantine(),
            self.schedules(),
            self.missed_iterations(),
            self.outbox.kept(),
            self.erasures(),
            erasure_key,
            self.api_keys(),
        )

    def api_keys(self) -> list[ApiKeyRow]:
        """Keys of the API, by id."""
        return [
            ApiKeyRow(*row)
            for row in self._connection.execute(
                f"SELECT {KEY_COLUMNS} FROM main.api_keys ORDER BY key_id"
            )
        ]

    def erasures(self) -> list[ErasureRow]:
        """What was erased, and is being erased, oldest first."""
        return [
            ErasureRow(*row)
            for row in self._connection.execute(
                f"SELECT {COLUMNS} FROM main.erasures ORDER BY erasure_id"
            )
        ]

    # ---------------------------------------------------------------- derived

    def is_projected(self) -> bool:
        """Whether what is derived is there, and up to date."""
        if not self._has_projection:
            return False
        (next_seq,) = self._connection.execute(
            "SELECT next_seq FROM projection.progress"
        ).fetchone()
        return bool(next_seq > self.size())  # beyond it, if the last ones were erased

    def derived(self, run: RunId) -> Derived | None:
        """What is derived of a run; None if nothing is."""
        row = self._connection.execute(
            "SELECT results, inputs FROM projection.runs WHERE run_no = ?", (run.no,)
        ).fetchone()
        return Derived(*row) if row else None
