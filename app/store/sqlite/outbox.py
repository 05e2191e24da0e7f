"""The outbox in SQLite: a file of its own, so that deliveries never wait for callbacks.

This process alone writes it. Raised events are read where they wait: in the projection's
file, and in the log's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import aiosqlite
import orjson

from app.event import Event
from app.store.outbox import RELAYED_AT_ONCE, Outbox, Raised, Transaction, unique
from app.store.outbox_rows import EndpointRow
from app.store.protocol import StoreUnavailableError
from app.store.raised import EVENT_COLUMNS
from app.store.sink_queue import RUN_COLUMNS
from app.store.sink_rows import SinkRunRow
from app.store.sqlite.driver import (
    Connection,
    Error,
    connect_reader,
    connect_writer,
    rolled_back,
    wal_bytes,
)
from app.store.sqlite.migrations import migrate
from app.store.sqlite.thread import StoreThread

SCHEMA = "outbox_schema"
_MARK_S = 30.0
CHECKPOINT_BYTES = 16 * 1024 * 1024


class _Taken(NamedTuple):
    announced_seq: int | None
    logged: list[int]
    """Numbers of events that wait in the log's file."""


class SqliteOutbox(Outbox):
    """Over one connection that writes, and one that reads the other files."""

    def __init__(
        self,
        path: Path,
        log_path: Path,
        projection_path: Path,
        *,
        forget: Callable[[Sequence[int]], Awaitable[object]],
    ) -> None:
        """`forget` drops raised events, by number, from the log's file."""
        self._path = path
        self._log_path = log_path
        self._projection_path = projection_path
        self._forget_logged = forget
        self._turn = asyncio.Lock()
        self._marked_s = 0.0
        self._connection: aiosqlite.Connection
        self._thread = StoreThread("raised-events")
        self._others: Connection
        """The projection's file and the log's, to be read on the thread."""

    async def open(self, log_next_seq: int) -> None:
        """Make or migrate the file. What was logged before it was made is no news.

        `log_next_seq` is where the log goes on.
        """
        self._connection = await aiosqlite.Connection(self._connect, iter_chunk_size=64)
        await self._connection.execute(
            "INSERT INTO relay (relay_no, next_event_no, announced_seq) VALUES (1, 1, ?)"
            " ON CONFLICT DO NOTHING",
            (log_next_seq,),
        )
        self._others = await self._thread.run(self._connect_others)

    def _connect(self) -> Connection:
        connection = connect_writer(self._path, cache_kib=4_096)
        migrate(connection, SCHEMA)
        return connection

    def _connect_others(self) -> Connection:
        connection = connect_reader(self._projection_path, cache_kib=1_024)
        connection.execute("ATTACH DATABASE ? AS log", (str(self._log_path),))
        return connection

    async def close(self) -> None:
        """Release the files."""
        async with self._turn:
            await self._connection.close()
            await self._thread.close(self._others.close)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        async with self._turn:
            with _outages():
                try:
                    await self._connection.execute("BEGIN IMMEDIATE")
                    yield _SqliteTransaction(self._connection)
                except BaseException:  # also if cancelled while it begins, which it does then
                    await self._connection.rollback()
                    raise
                await self._connection.commit()
                if wal_bytes(self._path) >= CHECKPOINT_BYTES:
                    await self._connection.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")

    async def _fetch(self, sql: str, *values: object) -> Sequence[Any]:
        async with self._turn:  # what a transaction is about to write is not to be seen
            with _outages():
                return await _SqliteTransaction(self._connection).fetch(sql, *values)

    # ------------------------------------------------------------------ events

    async def _raised(self, transaction: Transaction) -> Raised:
        ((announced_seq,),) = await transaction.fetch("SELECT announced_seq FROM relay")
        return await self._thread.run(self._waiting, announced_seq)

    def _waiting(self, announced_seq: int) -> Raised:
        read = self._others.execute
        read("BEGIN")  # progress and events of one moment
        try:
            ((next_seq,),) = read("SELECT next_seq FROM progress").fetchall()
            derived = read(
                f"SELECT next_seq, {EVENT_COLUMNS} FROM raised_events"
                " WHERE next_seq > ? AND next_seq <= ? ORDER BY next_seq, place LIMIT ?",
                (announced_seq, next_seq, RELAYED_AT_ONCE + 1),
            ).fetchall()
            is_all = len(derived) <= RELAYED_AT_ONCE
            if not is_all:  # of one commit all or none, unless one alone is more
                last = derived[-1][0]
                whole = [row for row in derived if row[0] != last]
                if not whole:
                    whole = read(
                        f"SELECT next_seq, {EVENT_COLUMNS} FROM raised_events WHERE next_seq = ?"
                        " ORDER BY place",
                        (last,),
                    ).fetchall()
                derived, next_seq = whole, whole[-1][0]
            logged = read(
                f"SELECT raised_no, {EVENT_COLUMNS} FROM log.raised_events ORDER BY raised_no"
                " LIMIT ?",
                (RELAYED_AT_ONCE,),
            ).fetchall()
        finally:
            rolled_back(self._others)
        events = [Event(*row[1:]) for row in (*derived, *logged)]
        moved = next_seq if next_seq > announced_seq else None
        taken = _Taken(moved, [row[0] for row in logged])
        return Raised(events, taken, is_all and len(logged) < RELAYED_AT_ONCE)

    async def _fresh(self, transaction: Transaction, events: Sequence[Event]) -> list[Event]:
        rows = await transaction.fetch(
            "SELECT event_id FROM events WHERE event_id IN (SELECT value FROM json_each(?))",
            orjson.dumps([one.event_id for one in events]).decode(),
        )
        return unique(events, {row[0] for row in rows})

    async def _mark(self, transaction: Transaction, taken: _Taken) -> None:
        if taken.announced_seq is not None:
            await transaction.execute("UPDATE relay SET announced_seq = ?", taken.announced_seq)
            self._marked_s = monotonic()

    async def _mark_idle(self, transaction: Transaction, taken: _Taken) -> None:
        """Now and then: each time costs an fsync, and nothing was raised there."""
        if monotonic() - self._marked_s > _MARK_S:
            await self._mark(transaction, taken)

    async def _forget(self, taken: _Taken) -> None:
        if taken.logged:  # told again if this does not come to pass, and known then by their ids
            await self._forget_logged(taken.logged)

    # ------------------------------------------------------------------ erasing

    async def _secure(self, transaction: Transaction) -> None:
        """Freed bytes are overwritten. It stays so, since few rows go otherwise."""
        await transaction.execute("PRAGMA secure_delete = ON")

    async def scrub(self) -> bool:
        """Rewrite the file, so that nothing of what was dropped stays in it.

        False if somebody reads what was: try again.
        """
        async with self._turn:
            with _outages():
                execute = self._connection.execute_fetchall
                # A rewritten file is as large as the file; that is no matter for memory.
                await execute("PRAGMA temp_store = FILE")
                try:
                    await execute("VACUUM")
                finally:
                    await execute("PRAGMA temp_store = MEMORY")
                (row,) = await execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return not row[0]

    # -------------------------------------------------------------- dispatching

    async def lease(self, holder: str, lease_s: float) -> list[EndpointRow]:
        """All that are active: nobody else delivers."""
        del holder, lease_s
        return [row for row in await self.endpoints() if row.state == "active"]

    async def claim_run(
        self, sink_id: str, holder: str, lease_s: float, now_ms: int
    ) -> SinkRunRow | None:
        """The first that is due: nobody else writes any."""
        del holder, lease_s
        rows = await self._fetch(
            f"SELECT {RUN_COLUMNS} FROM sink_runs WHERE sink_id = ? AND state = 'pending'"
            " AND due_ms <= ? ORDER BY due_ms, run_uid LIMIT 1",
            sink_id, now_ms,
        )  # fmt: skip
        return SinkRunRow(*rows[0]) if rows else None


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except Error as error:
        raise StoreUnavailableError(f"the outbox cannot be used: {error}") from error


class _SqliteTransaction:
    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: object) -> Sequence[Any]:
        return list(await self._connection.execute_fetchall(sql, values))

    async def execute(self, sql: str, *values: object) -> int:
        cursor = await self._connection.execute(sql, values)
        return int(cursor.rowcount)

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            await self._connection.executemany(sql, rows)
