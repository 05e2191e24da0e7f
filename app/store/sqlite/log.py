"""The log in SQLite: a batch of arrivals is one transaction and one fsync.

Runs on the log's own thread. While it compresses and commits, the interpreter is free
for the event loop, and a batch costs a handful of statements whatever its size: each
statement gives the interpreter up and must win it back from a busy event loop.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import orjson
import structlog
import zstandard

from app.canonical import digest
from app.crash_points import reach
from app.erased import content_digest, same_content
from app.erasing import Tombstones
from app.model import Arrival, Outcome, Quarantined
from app.store import segments
from app.store.admitting import admit
from app.store.protocol import LogUnavailableError
from app.store.raised import RAISE, quarantined_event
from app.store.sqlite.driver import (
    BUSY_TIMEOUT_S,
    Connection,
    Error,
    connect_writer,
    rolled_back,
    wal_bytes,
)
from app.store.sqlite.key_index import KeyIndex
from app.store.sqlite.migrations import migrate

T = TypeVar("T")

SCHEMA = "log_schema"
_RUN_CACHE_MAX = 10_000

log = structlog.get_logger("store")


class SqliteLogWriter:
    """Writes the log. Not for use by two threads at once, nor by two processes."""

    def __init__(self, path: Path, *, checkpoint_bytes: int = 24 * 1024 * 1024) -> None:
        """`checkpoint_bytes`: size of the write-ahead log from which a checkpoint is due."""
        self._path = path
        self._checkpoint_bytes = checkpoint_bytes
        self._compressor = segments.compressor()
        self._decompressor = zstandard.ZstdDecompressor()
        self._run_numbers: dict[str, int] = {}
        self.tombstones = Tombstones()
        self._connection = self._open()

    def _open(self) -> Connection:
        connection = connect_writer(self._path)
        migrate(connection, SCHEMA)
        row = connection.execute(
            "SELECT first_seq + callbacks FROM segments ORDER BY first_seq DESC LIMIT 1"
        ).fetchone()
        (least_seq,) = connection.execute("SELECT next_seq FROM log_state").fetchone()
        self._next_seq = max(int(row[0]) if row else 1, int(least_seq))
        self._keys = KeyIndex(connection)
        for first_seq, run_no, frame in connection.execute(
            "SELECT first_seq, run_no, frame FROM segments WHERE first_seq + callbacks > ?1"
            " AND first_seq >= coalesce((SELECT max(first_seq) FROM segments"
            " WHERE first_seq <= ?1), ?1)",
            (self._keys.indexed_before(),),
        ):
            self._keys.add(
                (run_no, entry.key, seq)
                for seq, entry in enumerate(segments.unpack(frame, self._decompressor), first_seq)
                if not entry.conflicts_with
            )
        return connection

    @property
    def next_seq(self) -> int:
        """Where the log goes on."""
        return self._next_seq

    def close(self) -> None:
        """Release the file. What was appended is durable already."""
        with contextlib.suppress(Error):  # only saves time at the next start
            self._keys.move_all()
        self._connection.close()

    # ------------------------------------------------------------ callbacks

    def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Make `arrivals` durable in one transaction; one outcome for each, in order.

        Raises LogUnavailableError if the store cannot take them (disk full, locked for longer
        than `BUSY_TIMEOUT_S`, I/O error): then nothing of the batch is stored.
        """
        try:
            return self._append(arrivals)
        except Exception as error:
            self._recover()
            if not isinstance(error, Error):  # ours: say where, and refuse all the same
                log.exception("append failed")
            raise LogUnavailableError(f"the log cannot be written: {error}") from error

    def _append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        reach("log begun")
        if self.tombstones.are_none:
            return self._log(arrivals)
        admitted = admit(self.tombstones, arrivals)
        return admitted.outcomes(self._log(admitted.arrivals))

    def _log(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        outcomes = [Outcome.STORED] * len(arrivals)
        next_seq = self._next_seq
        new_keys: list[tuple[int, str, int]] = []
        portions: list[Sequence[segments.Entry]] = []
        rows: list[tuple[int, int, int]] = []
        for run_uid, places in _by_run(arrivals).items():
            run_no = self._run_no(run_uid)
            entries = self._new_entries(run_no, next_seq, arrivals, places, outcomes)
            for portion in segments.split(entries):
                portions.append(portion)
                rows.append((next_seq, run_no, len(portion)))
                for entry in portion:
                    if entry.conflicts_with is None:
                        new_keys.append((run_no, entry.key, next_seq))
                    next_seq += 1
        if rows:
            self._insert(rows, segments.pack(portions, self._compressor))
        if self._connection.in_transaction:
            reach("log before commit")
            self._connection.execute("COMMIT")
        reach("log after commit")
        self._next_seq = next_seq
        self._keys.add(new_keys)
        return outcomes

    def _insert(self, rows: Sequence[tuple[int, int, int]], frames: Sequence[bytes]) -> None:
        """Insert segments, (first_seq, run_no, callbacks) each, with one statement.

        Mostly it is a batch's only statement, and then a transaction by itself.
        """
        offsets = accumulate(map(len, frames), initial=1)
        places = [
            (*row, offset, len(frame))
            for row, frame, offset in zip(rows, frames, offsets, strict=False)
        ]
        reach("log before commit")
        self._connection.execute(
            "INSERT INTO segments (first_seq, run_no, callbacks, frame)"
            " SELECT value->>0, value->>1, value->>2, substr(?1, value->>3, value->>4)"
            " FROM json_each(?2)",
            (b"".join(frames), orjson.dumps(places).decode()),
        )

    def _begin(self) -> None:
        """What needs more than one statement needs a transaction around them."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def _new_entries(
        self,
        run_no: int,
        first_seq: int,
        arrivals: Sequence[Arrival],
        places: Sequence[int],
        outcomes: list[Outcome],
    ) -> list[segments.Entry]:
        """The entries of one run's arrivals that are new; repeats get their outcome."""
        first_places: dict[str, int] = {}
        repeats = [
            place
            for place in places
            if first_places.setdefault(arrivals[place].key, place) != place
        ]
        seqs = self._keys.find(run_no, list(first_places))
        entries: list[segments.Entry] = []
        fresh: dict[str, Arrival] = {}
        for key, place in first_places.items():
            if key in seqs:
                repeats.append(place)
                continue
            arrival = arrivals[place]
            fresh[key] = arrival
            seqs[key] = first_seq + len(entries)
            entries.append(segments.entry_of(arrival, None))
        if repeats:
            repeats.sort()  # conflicts are logged in the order of their arrival
            repeated = [(place, arrivals[place], seqs[arrivals[place].key]) for place in repeats]
            for place, outcome in self._settle(run_no, first_seq, repeated, fresh, entries):
                outcomes[place] = outcome
        return entries

    def _settle(
        self,
        run_no: int,
        first_seq: int,
        repeated: Sequence[tuple[int, Arrival, int]],
        fresh: Mapping[str, Arrival],
        entries: list[segments.Entry],
    ) -> list[tuple[int, Outcome]]:
        """Tell duplicates from conflicts; a conflict's body is logged like any other.

        `repeated` has (place in the batch, arrival, seq of the first with its key); `fresh`
        those of this batch by key, whose bodies are not in the database yet.
        """
        self._begin()
        execute = self._connection.execute
        settled: list[tuple[int, Outcome]] = []
        duplicates, is_respelled = 0, False
        for place, arrival, seq in repeated:
            first = fresh.get(arrival.key)
            first_body = first.body if first else self._body(seq)
            is_respelled |= arrival.body != first_body
            if same_content(arrival.body, first_body):
                settled.append((place, Outcome.DUPLICATE))
                duplicates += 1
                continue
            settled.append((place, Outcome.CONFLICT))
            is_new = execute(
                "INSERT INTO conflicts (run_no, callback_key, body_digest, seq)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (run_no, arrival.key, content_digest(arrival.body), first_seq + len(entries)),
            ).rowcount
            if is_new:
                entries.append(segments.entry_of(arrival, seq))
            else:
                duplicates += 1
        if duplicates:
            execute(
                "UPDATE runs SET duplicates = duplicates + ? WHERE run_no = ?", (duplicates, run_no)
            )
        if is_respelled:
            execute("UPDATE runs SET respelled = 1 WHERE run_no = ?", (run_no,))
        return settled

    def _run_no(self, run_uid: str) -> int:
        run_no = self._run_numbers.get(run_uid)
        if run_no is None:
            self._begin()
            execute = self._connection.execute
            execute("INSERT INTO runs (run_uid) VALUES (?) ON CONFLICT DO NOTHING", (run_uid,))
            (found,) = execute("SELECT run_no FROM runs WHERE run_uid = ?", (run_uid,)).fetchone()
            run_no = int(found)
            if len(self._run_numbers) >= _RUN_CACHE_MAX:
                self._run_numbers.clear()
            self._run_numbers[run_uid] = run_no
        return run_no

    def _body(self, seq: int) -> bytes:
        first_seq, frame = self._connection.execute(
            "SELECT first_seq, frame FROM segments WHERE first_seq <= ?"
            " ORDER BY first_seq DESC LIMIT 1",
            (seq,),
        ).fetchone()
        entry: segments.Entry = segments.unpack(frame, self._decompressor)[seq - first_seq]
        return entry.body

    # ----------------------------------------------------------- quarantine

    def quarantine(self, item: Quarantined) -> str:
        """Keep a body that was not understood, durably; the id under which it is kept.

        The same body again keeps its first id and counts up. Raises LogUnavailableError.
        """
        body = self.tombstones.eraser.unread(item.body)
        kept = item if body is None else replace(item, body=body)
        return self.transact(lambda connection: self._quarantine(connection, kept))

    def _quarantine(self, connection: Connection, item: Quarantined) -> str:
        ((quarantine_id, times_seen),) = connection.execute(
            "INSERT INTO quarantine (quarantine_id, body_digest, received_ms, last_received_ms,"
            " reason, detail, content_type, body_bytes, frame)"
            " VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8)"
            " ON CONFLICT (body_digest) DO UPDATE SET times_seen = times_seen + 1,"
            " last_received_ms = excluded.received_ms RETURNING quarantine_id, times_seen",
            (
                item.quarantine_id,
                digest(item.body),
                item.received_ms,
                item.reason,
                item.detail,
                item.content_type,
                len(item.body),
                self._compressor.compress(item.body),
            ),
        ).fetchall()
        if times_seen == 1:
            connection.execute(RAISE, quarantined_event(item))
        return str(quarantine_id)

    def release(self, quarantine_id: str) -> bool:
        """Drop an entry of the quarantine; False if there is none by that id."""
        try:
            cursor = self._connection.execute(
                "DELETE FROM quarantine WHERE quarantine_id = ?", (quarantine_id,)
            )
        except Error as error:
            self._recover()
            raise LogUnavailableError(f"the quarantine cannot be written: {error}") from error
        return bool(cursor.rowcount)

    # ------------------------------------------------------------ other tables

    def transact(self, change: Callable[[Connection], T]) -> T:
        """What `change` makes of the connection, durably, in one transaction.

        Not for what is logged. Raises LogUnavailableError.
        """
        try:
            self._begin()
            changed = change(self._connection)
            self._connection.execute("COMMIT")
        except Error as error:
            self._recover()
            raise LogUnavailableError(f"the database cannot be written: {error}") from error
        except BaseException:
            self._recover()
            raise
        return changed

    def forget_keys(self, run_no: int, before_seq: int) -> None:
        """Know a run's callbacks before `before_seq` no more; their table is the caller's."""
        self._keys.forget(run_no, before_seq)

    # ---------------------------------------------------------------- upkeep

    def seqs(self, run_uid: str, key: str) -> list[int]:
        """Where the log has the callback of this key, then its conflicts; [] if nowhere."""
        row = self._connection.execute(
            "SELECT run_no FROM runs WHERE run_uid = ?", (run_uid,)
        ).fetchone()
        if row is None:
            return []
        conflicts = self._connection.execute(
            "SELECT seq FROM conflicts WHERE run_no = ? AND callback_key = ? ORDER BY seq",
            (row[0], key),
        ).fetchall()
        return [*self._keys.find(row[0], [key]).values(), *(seq for (seq,) in conflicts)]

    def is_upkeep_due(self) -> bool:
        """Whether `keep_up` has something to do. Quick, and safe on any thread."""
        return self._keys.is_due or wal_bytes(self._path) >= self._checkpoint_bytes

    def keep_up(self) -> None:
        """Move a portion of keys into their table, or the write-ahead log into the database.

        Apart from `append`, so that those who wait for a commit do not wait for this too.
        What cannot be moved now, since someone reads it, is moved the next time.
        """
        try:
            if self._keys.is_due:
                self._keys.move_portion()
            else:
                reach("log before checkpoint")
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                reach("log after checkpoint")
        except Error as error:  # nothing is lost: the write-ahead log holds it all
            log.warning("upkeep failed", reason=str(error))

    def truncate(self) -> bool:
        """Move all of the write-ahead log into the database, and empty it.

        False if somebody reads what was before: then it is as it was.
        """
        execute = self._connection.execute
        try:
            execute("PRAGMA busy_timeout = 0")  # whoever waits for a commit waits for this too
            try:
                (row,) = execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        except Error as error:
            log.warning("the write-ahead log is not emptied", reason=str(error))
            return False
        return not row[0]

    def _recover(self) -> None:
        """After a failure: end the transaction and forget what it may have numbered."""
        self._run_numbers.clear()
        try:
            rolled_back(self._connection)
        except Error:  # the connection itself is broken: a new one recovers from the files
            self._connection.close()
            self._connection = self._open()


def _by_run(arrivals: Sequence[Arrival]) -> dict[str, list[int]]:
    """Places in the batch by run."""
    runs: dict[str, list[int]] = {}
    for place, arrival in enumerate(arrivals):
        runs.setdefault(arrival.run_uid, []).append(place)
    return runs
