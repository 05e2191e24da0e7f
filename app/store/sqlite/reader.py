"""Reading for the API and the exports: both files behind one connection each."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import aiosqlite
import orjson
import zstandard

from app.store import segments
from app.store.protocol import StoreUnavailableError
from app.store.rows import NO_INPUT
from app.store.sqlite.driver import Connection, Error, connect_reader
from app.store.views import (
    CallbackView,
    CountedCallback,
    CustomFilter,
    InputFilter,
    InputView,
    Lag,
    QuarantineView,
    ResultFilter,
    ResultPosition,
    RunFilter,
    RunView,
)

_CONNECTIONS = 3
_FEW = 2_000
"""Up to so many inputs found by custom_data are sorted; more are filtered in order instead."""

_RUN_COLUMNS = (
    "r.run_uid, r.status, r.completeness, r.action_name, r.execution_mode,"
    " r.scheduled_run_uid, r.callbacks, l.duplicates, r.conflicts, r.results, r.inputs,"
    " r.inputs_succeeded, r.inputs_failed, r.first_received_ms, r.last_received_ms, r.finished_ms,"
    " (SELECT next_seq FROM progress)"
)
_RUN = "(SELECT run_no FROM runs WHERE run_uid = {})"
_RUN_SORTS = {
    "created": ("r.first_received_ms", ""),
    "-created": ("r.first_received_ms", " DESC"),
    "updated": ("r.last_received_ms", ""),
    "-updated": ("r.last_received_ms", " DESC"),
}
_HAS_VALUE = (
    "EXISTS (SELECT 1 FROM custom_values v WHERE v.run_no = {run} AND v.path = ? AND v.value = ?"
    "{input})"
)


class SqliteReader:
    """A few connections that only read, shared by all requests."""

    def __init__(self, log_path: Path, projection_path: Path) -> None:
        self._log_path = log_path
        self._projection_path = projection_path
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

    async def _rows(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[Any]:
        async with self._connection() as connection:
            try:
                return list(await connection.execute_fetchall(sql, parameters))
            except Error as error:
                raise StoreUnavailableError(f"the database cannot be read: {error}") from error

    # -------------------------------------------------------------------- runs

    async def runs(
        self, chosen: RunFilter, *, sort: str, after: tuple[int, str] | None, limit: int
    ) -> list[RunView]:
        """Runs in the order of `sort` (one of `RUN_SORTS`), after a (time in ms, run uid)."""
        column, direction = _RUN_SORTS[sort]
        where, parameters = _runs_where(chosen)
        if after is not None:
            where.append(f"({column}, r.run_uid) {'<' if direction else '>'} (?, ?)")
            parameters.extend(after)
        rows = await self._rows(
            f"SELECT {_RUN_COLUMNS} FROM runs r JOIN log.runs l ON l.run_no = r.run_no"
            f" WHERE {' AND '.join(where)}"
            f" ORDER BY {column}{direction}, r.run_uid{direction} LIMIT ?",
            [*parameters, limit],
        )
        return [RunView(*row) for row in rows]

    async def run(self, run_uid: str) -> RunView | None:
        """One run, None if no callback of it was projected."""
        found = await self.runs(RunFilter(run_uids=(run_uid,)), sort="created", after=None, limit=1)
        return found[0] if found else None

    async def runs_in_export_order(
        self, chosen: RunFilter, *, after_uid: str | None, limit: int
    ) -> list[RunView]:
        """Runs by their uid: the order of merged exports, which no arrival changes."""
        where, parameters = _runs_where(chosen)
        if after_uid is not None:
            where.append("r.run_uid > ?")
            parameters.append(after_uid)
        rows = await self._rows(
            f"SELECT {_RUN_COLUMNS} FROM runs r JOIN log.runs l ON l.run_no = r.run_no"
            f" WHERE {' AND '.join(where)} ORDER BY r.run_uid LIMIT ?",
            [*parameters, limit],
        )
        return [RunView(*row) for row in rows]

    async def fields(self, run_uids: Sequence[str]) -> dict[str, list[str]]:
        """The sorted field names of these runs by section: `data`, `custom_data`, `input`."""
        rows = await self._rows(
            "SELECT DISTINCT f.section, f.name FROM json_each(?) j"
            " CROSS JOIN runs r ON r.run_uid = j.value"
            " CROSS JOIN fields f ON f.run_no = r.run_no ORDER BY f.section, f.name",
            (orjson.dumps(list(run_uids)).decode(),),
        )
        sections: dict[str, list[str]] = {"data": [], "custom_data": [], "input": []}
        for section, name in rows:
            sections[section].append(name)
        return sections

    # ----------------------------------------------------------------- results

    async def counted_callbacks(
        self,
        run_uid: str,
        chosen: ResultFilter,
        *,
        before_seq: int,
        after: ResultPosition,
        limit: int,
        bytes_max: int,
    ) -> list[CountedCallback]:
        """Callbacks whose results counted before `before_seq`, in export order, bodies included.

        From the callback of `after` on (itself included when `after.place` >= 0), at most
        `limit`, and about `bytes_max` of bodies, at least one if any is left.
        """
        rows: list[Any] = []
        if chosen.input_key is None and not chosen.custom and after.input_key == NO_INPUT:
            rows = await self._rows(*_counted(run_uid, chosen, before_seq, after, limit))
        if len(rows) < limit:
            matching = None
            if chosen.custom:
                matching = await self._few_inputs_with(run_uid, chosen.custom)
            left = limit - len(rows)
            rows += await self._rows(
                *_counted(
                    run_uid, chosen, before_seq, after, left, matching=matching, by_input=True
                )
            )
        sizes = accumulate(row[6] for row in rows)
        rows = rows[: 1 + sum(size < bytes_max for size in sizes)]
        bodies = await self._bodies([row[0] for row in rows])
        return [
            CountedCallback(seq, key, input_key, content, batch_uid, received_ms, bodies[seq])
            for seq, key, input_key, content, batch_uid, received_ms, _ in rows
        ]

    async def _few_inputs_with(
        self, run_uid: str, custom: Sequence[CustomFilter]
    ) -> list[int] | None:
        """Numbers of the inputs with all of these values; None if the first alone has many."""
        sql = (
            "SELECT v.input_no FROM custom_values v"
            f" WHERE v.run_no = {_RUN.format('?')} AND v.path = ? AND v.value = ?"
        )
        rows = await self._rows(f"{sql} LIMIT ?", (run_uid, *custom[0], _FEW + 1))
        if len(rows) > _FEW:
            return None
        found = {row[0] for row in rows}
        for path, value in custom[1:]:
            rows = await self._rows(
                f"{sql} AND v.input_no IN (SELECT value FROM json_each(?))",
                (run_uid, path, value, orjson.dumps(sorted(found)).decode()),
            )
            found = {row[0] for row in rows}
        return sorted(found)

    async def _bodies(self, seqs: Sequence[int]) -> dict[int, bytes]:
        rows = await self._rows(
            "SELECT first_seq, frame FROM log.segments WHERE first_seq IN (SELECT (SELECT"
            " max(first_seq) FROM log.segments WHERE first_seq <= j.value) FROM json_each(?) j)",
            (orjson.dumps(list(seqs)).decode(),),
        )
        return await asyncio.to_thread(_unpacked, rows, frozenset(seqs))

    # ------------------------------------------------------------------ inputs

    async def inputs(
        self, run_uid: str, chosen: InputFilter, *, after: bytes, limit: int
    ) -> list[InputView]:
        """Inputs in export order, after an input key (b"" for the start)."""
        where, parameters = [f"i.run_no = {_RUN.format('?')} AND i.input_key > ?"], [run_uid, after]
        if chosen.statuses:
            where.append("i.status IN (SELECT value FROM json_each(?))")
            parameters.append(orjson.dumps(chosen.statuses).decode())
        index = "inputs_by_key"
        if chosen.error_label is not None:
            index = "inputs_with_errors"
            where.append("i.error_label = ?")
            parameters.append(chosen.error_label)
        if chosen.custom:
            matching = await self._few_inputs_with(run_uid, chosen.custom)
            if matching is not None:
                where.append("i.input_no IN (SELECT value FROM json_each(?))")
                parameters.append(orjson.dumps(matching).decode())
                index = ""
            else:
                for pair in chosen.custom:
                    where.append(
                        _HAS_VALUE.format(run="i.run_no", input=" AND v.input_no = i.input_no")
                    )
                    parameters.extend(pair)
        indexed = f"INDEXED BY {index}" if index else "NOT INDEXED"
        rows = await self._rows(
            "SELECT i.input_no, i.input_key, i.input, i.custom_data, i.status, i.error, i.results,"
            f" i.first_received_ms, i.last_received_ms FROM inputs i {indexed}"
            f" WHERE {' AND '.join(where)} ORDER BY i.input_key LIMIT ?",
            [*parameters, limit],
        )
        return [InputView(*row) for row in rows]

    # --------------------------------------------------------------- callbacks

    async def callbacks(self, run_uid: str, *, after_seq: int, limit: int) -> list[CallbackView]:
        """The log of a run in order of arrival."""
        rows = await self._rows(
            "SELECT seq, callback_key, batch_uid, status, results, is_winner, lost_to,"
            " conflicts_with, received_ms, body_bytes, note FROM callbacks"
            f" WHERE run_no = {_RUN.format('?')} AND seq > ? ORDER BY seq LIMIT ?",
            (run_uid, after_seq, limit),
        )
        return [CallbackView(*row) for row in rows]

    async def raw(self, run_uid: str, seq: int) -> bytes:
        """The body of a callback exactly as received. Raises KeyError if the log has none there."""
        del run_uid  # here a seq is unique over all runs
        return (await self._bodies([seq]))[seq]

    # -------------------------------------------------------------- quarantine

    async def quarantined(self, *, after: str, limit: int) -> list[QuarantineView]:
        """Entries of the quarantine, oldest first, after an id ("" for the start)."""
        rows = await self._rows(
            "SELECT quarantine_id, received_ms, last_received_ms, times_seen, reason, detail,"
            " content_type, body_bytes FROM log.quarantine WHERE quarantine_id > ?"
            " ORDER BY quarantine_id LIMIT ?",
            (after, limit),
        )
        return [QuarantineView(*row) for row in rows]

    async def quarantined_entry(self, quarantine_id: str) -> tuple[QuarantineView, bytes] | None:
        """An entry and its body, None if there is none by that id."""
        rows = await self._rows(
            "SELECT quarantine_id, received_ms, last_received_ms, times_seen, reason, detail,"
            " content_type, body_bytes, frame FROM log.quarantine WHERE quarantine_id = ?",
            (quarantine_id,),
        )
        if not rows:
            return None
        *columns, frame = rows[0]
        return QuarantineView(*columns), zstandard.decompress(frame)

    async def quarantine_size(self) -> int:
        """How many entries the quarantine has."""
        return int((await self._rows("SELECT count(*) FROM log.quarantine"))[0][0])

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
            (next_seq,),
        )
        oldest_ms = now_ms
        for first_seq, frame in rows:
            entries = segments.unpack(frame, zstandard.ZstdDecompressor())
            oldest_ms = entries[min(next_seq - first_seq, len(entries) - 1)].received_ms
        return Lag(log_next_seq - next_seq, max(0, now_ms - oldest_ms) / 1000)


def _counted(
    run_uid: str,
    chosen: ResultFilter,
    before_seq: int,
    after: ResultPosition,
    limit: int,
    *,
    matching: Sequence[int] | None = None,
    by_input: bool = False,
) -> tuple[str, dict[str, Any]]:
    """The statement for callbacks whose results count: of inputs, or of no input at all.

    Inputs are walked in the order of their key, so that a page costs what is on it; where
    `matching` names a few of them, those are sorted instead.
    """
    values: dict[str, Any] = {
        "run": run_uid,
        "before": before_seq,
        "input": after.input_key,
        "callback": after.callback_key,
        "limit": limit,
    }
    run = _RUN.format(":run")
    where = [
        f"c.run_no = {run} AND c.content NOTNULL AND c.seq < :before",
        "(c.lost_to IS NULL OR c.lost_to >= :before)",
    ]
    is_later = f"c.callback_key {'>=' if after.place >= 0 else '>'} :callback"
    if chosen.received_after_ms is not None:
        values["received"] = chosen.received_after_ms
        where.append("c.received_ms > :received")
    callbacks = "callbacks c INDEXED BY callbacks_with_results"
    if not by_input:
        source, key, order = callbacks, "x''", "c.callback_key"
        where.append(f"c.input_no = 0 AND {is_later}")
    else:
        source = f"inputs i INDEXED BY inputs_by_key CROSS JOIN {callbacks}"
        key, order = "i.input_key", "i.input_key, c.callback_key"
        where.append(f"i.run_no = {run} AND c.input_no = i.input_no AND i.input_key >= :input")
        where.append(f"(i.input_key > :input OR {is_later})")
        if chosen.input_key is not None:
            values["only"] = chosen.input_key
            where.append("i.input_key = :only")
        if matching is not None:
            values["matching"] = orjson.dumps(matching).decode()
            source = f"json_each(:matching) n CROSS JOIN inputs i CROSS JOIN {callbacks}"
            where.append("i.input_no = n.value")
        else:
            for number, (path, value) in enumerate(chosen.custom):
                values |= {f"path{number}": path, f"value{number}": value}
                where.append(
                    "EXISTS (SELECT 1 FROM custom_values v WHERE v.run_no = i.run_no"
                    f" AND v.path = :path{number} AND v.value = :value{number}"
                    " AND v.input_no = i.input_no)"
                )
    statement = (
        f"SELECT c.seq, c.callback_key, {key}, c.content, c.batch_uid, c.received_ms, c.body_bytes"
        f" FROM {source} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT :limit"
    )
    return statement, values


def _runs_where(chosen: RunFilter) -> tuple[list[str], list[Any]]:
    where, parameters = ["true"], []
    for column in ("status", "completeness", "action_name", "scheduled_run_uid"):
        value = getattr(chosen, column)
        if value is not None:
            where.append(f"r.{column} = ?")
            parameters.append(value)
    if chosen.run_uids:
        where.append("r.run_uid IN (SELECT value FROM json_each(?))")
        parameters.append(orjson.dumps(chosen.run_uids).decode())
    if chosen.created_after_ms is not None:
        where.append("r.first_received_ms > ?")
        parameters.append(chosen.created_after_ms)
    if chosen.search is not None:
        where.append(
            "(instr(r.run_uid, ?) OR EXISTS (SELECT 1 FROM (SELECT DISTINCT path FROM"
            " fields f JOIN custom_values p ON p.run_no = f.run_no AND p.path = f.name"
            " WHERE f.run_no = r.run_no AND f.section = 'custom_data') n JOIN custom_values v"
            " ON v.run_no = r.run_no AND v.path = n.path AND v.value = ?))"
        )
        parameters += [chosen.search, chosen.search]
    for pair in chosen.custom:
        where.append(_HAS_VALUE.format(run="r.run_no", input=""))
        parameters.extend(pair)
    return where, parameters


def _unpacked(rows: Sequence[Any], wanted: frozenset[int]) -> dict[int, bytes]:
    """The wanted bodies out of segments; called on a thread, since frames may be many."""
    decompressor = zstandard.ZstdDecompressor()
    return {
        seq: entry.body
        for first_seq, frame in rows
        for seq, entry in enumerate(segments.unpack(frame, decompressor), first_seq)
        if seq in wanted
    }
