"""Reading for the API and the exports: both files behind one connection each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import orjson
import zstandard

from app.store import segments
from app.store.protocol import StoreUnavailableError
from app.store.reader import Reader
from app.store.sqlite.driver import Connection, Error, connect_reader
from app.store.views import CustomFilter, Fields, Lag, Window

_CONNECTIONS = 3
_RUN_NO = "(SELECT run_no FROM runs WHERE run_uid = ?)"


class SqliteReader(Reader):
    """A few connections that only read, shared by all requests.

    Indexes are named, since the planner would rather scan a run than trust them.
    """

    log_schema = "log."
    outbox_schema = "outbox."
    runs_from = "runs r JOIN log.runs l ON l.run_no = r.run_no"
    next_seq = "(SELECT next_seq FROM progress)"
    run_is = f"{{0}}.run_no = {_RUN_NO}"
    same_run = "{0}.run_no = {1}.run_no"
    position = "instr"
    callbacks_from = "callbacks c INDEXED BY callbacks_with_results"
    callbacks_by_seq = "callbacks c NOT INDEXED"

    def __init__(self, log_path: Path, projection_path: Path, outbox_path: Path) -> None:
        self._log_path = log_path
        self._projection_path = projection_path
        self._outbox_path = outbox_path
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._all: list[aiosqlite.Connection] = []

    async def open(self) -> None:
        """Open the files. Raises OperationalError if one is missing."""
        for _ in range(_CONNECTIONS):
            connection = await aiosqlite.Connection(self._connect, iter_chunk_size=64)
            self._all.append(connection)
            self._idle.put_nowait(connection)

    def _connect(self) -> Connection:
        connection = connect_reader(self._projection_path, cache_kib=4_096)
        connection.execute("ATTACH DATABASE ? AS log", (str(self._log_path),))
        connection.execute("ATTACH DATABASE ? AS outbox", (str(self._outbox_path),))
        connection.execute("PRAGMA outbox.cache_size = -512")
        connection.execute("PRAGMA log.cache_size = -2048")
        return connection

    async def close(self) -> None:
        """Release the files."""
        for connection in self._all:
            await connection.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosqlite.Connection]:
        connection = await self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put_nowait(connection)

    async def _rows(self, sql: str, *values: object) -> Sequence[Any]:
        async with self._connection() as connection:
            try:
                return list(await connection.execute_fetchall(sql, values))
            except Error as error:
                raise StoreUnavailableError(f"the database cannot be read: {error}") from error

    def _among(self, column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, object]:
        return f"{column} IN (SELECT value FROM json_each(?))", _json(values)

    def _custom(self, pair: CustomFilter) -> tuple[object, object]:
        return pair

    def _inputs_from(self, index: str) -> str:
        return f"inputs i INDEXED BY {index}" if index else "inputs i NOT INDEXED"

    async def fields(self, run_uids: Sequence[str]) -> Fields:
        """The fields of these runs together, and the kinds of values that they have held."""
        rows = await self._rows(
            "SELECT DISTINCT f.section, f.name, f.kinds FROM json_each(?) j"
            " CROSS JOIN runs r ON r.run_uid = j.value"
            " CROSS JOIN fields f ON f.run_no = r.run_no",
            _json(run_uids),
        )
        return Fields.of(rows)

    async def _bodies(self, run_uid: str, seqs: Sequence[int]) -> dict[int, bytes]:
        del run_uid  # here a seq is unique over all runs
        rows = await self._rows(
            "SELECT first_seq, frame FROM log.segments WHERE first_seq IN (SELECT (SELECT"
            " max(first_seq) FROM log.segments WHERE first_seq <= j.value) FROM json_each(?) j)",
            _json(seqs),
        )
        return await asyncio.to_thread(_unpacked, rows, frozenset(seqs))

    async def log_rows(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of a statement about tables of the log alone, named `log.` and their name."""
        return await self._rows(sql, *values)

    async def derived_anew(self) -> tuple[int, int]:
        """Up to which change of bodies runs are derived anew, and the file is without traces."""
        ((reworked_no, scrubbed_no),) = await self._rows(
            "SELECT rework_no, scrubbed_no FROM derived_anew"
        )
        return reworked_no, scrubbed_no

    async def changed(self, *, first: int, after: int | None, until: int) -> dict[str, Window]:
        """The runs of which something was projected between two marks, by uid.

        A mark is how far all of the log was projected, here; `first` is that of the first load.
        """
        if after is None:  # quicker than to look which have anything by then
            rows = await self._rows("SELECT run_uid FROM log.runs")
            return {uid: Window(until, 1, until) for (uid,) in rows}
        rows = await self._rows(
            "SELECT DISTINCT r.run_uid FROM log.segments s JOIN log.runs r ON r.run_no = s.run_no"
            " WHERE s.first_seq >= coalesce((SELECT max(first_seq) FROM log.segments"
            " WHERE first_seq <= ?1), ?1) AND s.first_seq < ?2",
            after,
            until,
        )
        return {uid: Window(first, after, until) for (uid,) in rows}

    async def projected(self) -> int:
        """How far the log is projected."""
        rows = await self._rows("SELECT next_seq FROM progress")
        return int(rows[0][0])

    # ------------------------------------------------------------------ health

    async def lag(self, now_ms: int) -> Lag:
        """How far the projection is behind, at the Unix time `now_ms`."""
        rows = await self._rows(
            "SELECT p.next_seq, coalesce((SELECT first_seq + callbacks FROM log.segments"
            " ORDER BY first_seq DESC LIMIT 1), 1) FROM progress p"
        )
        next_seq, log_next_seq = rows[0]
        if next_seq >= log_next_seq:
            return Lag(0, 0.0)
        rows = await self._rows(
            "SELECT first_seq, frame FROM log.segments WHERE first_seq <= ?"
            " ORDER BY first_seq DESC LIMIT 1",
            next_seq,
        )
        oldest_ms = now_ms
        for first_seq, frame in rows:
            entries = segments.unpack(frame, zstandard.ZstdDecompressor())
            oldest_ms = entries[min(next_seq - first_seq, len(entries) - 1)].received_ms
        return Lag(log_next_seq - next_seq, max(0, now_ms - oldest_ms) / 1000)


def _json(values: Sequence[object]) -> str:
    return orjson.dumps(list(values)).decode()


def _unpacked(rows: Sequence[Any], wanted: frozenset[int]) -> dict[int, bytes]:
    """The wanted bodies out of segments; called on a thread, since frames may be many."""
    decompressor = zstandard.ZstdDecompressor()
    return {
        seq: entry.body
        for first_seq, frame in rows
        for seq, entry in enumerate(segments.unpack(frame, decompressor), first_seq)
        if seq in wanted
    }
