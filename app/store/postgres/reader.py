"""Reading for the API and the exports, over a pool of connections that only read."""

import asyncio
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import zstandard

from app.store import segments
from app.store.postgres.driver import Pool, Row, connection_pool, outages
from app.store.rows import NO_INPUT
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

_CONNECTIONS = 4
_FEW = 2_000
"""Up to so many inputs found by custom_data are sorted; more are filtered in order instead."""

_RUN_COLUMNS = (
    "r.run_uid, r.status, r.completeness, r.action_name, r.execution_mode, r.scheduled_run_uid,"
    " r.callbacks, l.duplicates, r.conflicts, r.results, r.inputs, r.inputs_succeeded,"
    " r.inputs_failed, r.first_received_ms, r.last_received_ms, r.finished_ms, p.next_seq"
)
_RUNS = "runs r JOIN log_runs l USING (run_uid) JOIN projections p USING (run_uid)"
_RUN_SORTS = {
    "created": ("r.first_received_ms", ""),
    "-created": ("r.first_received_ms", " DESC"),
    "updated": ("r.last_received_ms", ""),
    "-updated": ("r.last_received_ms", " DESC"),
}
_BODY_OF = """
    SELECT c.seq, s.first_seq, s.frame
    FROM unnest($2::bigint[]) AS c (seq)
    CROSS JOIN LATERAL (
        SELECT first_seq, frame FROM segments
        WHERE run_uid = $1 AND first_seq <= c.seq ORDER BY first_seq DESC LIMIT 1
    ) AS s
"""


class PostgresReader:
    """A few connections that only read, shared by all requests."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Pool

    async def open(self) -> None:
        """Connect. Raises StoreUnavailableError."""
        with outages():
            self._pool = await connection_pool(self._url, _CONNECTIONS)

    async def close(self) -> None:
        """Let go of the connections."""
        self._pool.terminate()

    async def _rows(self, sql: str, *values: object) -> Sequence[Row]:
        with outages():
            rows: Sequence[Row] = await self._pool.fetch(sql, *map(_comparable, values))
        return rows

    # -------------------------------------------------------------------- runs

    async def runs(
        self, chosen: RunFilter, *, sort: str, after: tuple[int, str] | None, limit: int
    ) -> list[RunView]:
        """Runs in the order of `sort` (one of `RUN_SORTS`), after a (time in ms, run uid)."""
        column, direction = _RUN_SORTS[sort]
        where = _runs_where(chosen)
        if after is not None:
            sign = "<" if direction else ">"
            where.add(f"({column}, r.run_uid) {sign} (%::bigint, %::text)", *after)
        rows = await self._rows(
            f"SELECT {_RUN_COLUMNS} FROM {_RUNS} WHERE {where}"
            f" ORDER BY {column}{direction}, r.run_uid{direction} LIMIT {where.bind(limit)}",
            *where.values,
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
        where = _runs_where(chosen)
        if after_uid is not None:
            where.add("r.run_uid > %", after_uid)
        rows = await self._rows(
            f"SELECT {_RUN_COLUMNS} FROM {_RUNS} WHERE {where}"
            f" ORDER BY r.run_uid LIMIT {where.bind(limit)}",
            *where.values,
        )
        return [RunView(*row) for row in rows]

    async def fields(self, run_uids: Sequence[str]) -> dict[str, list[str]]:
        """The sorted field names of these runs by section: `data`, `custom_data`, `input`."""
        rows = await self._rows(
            "SELECT DISTINCT f.section, f.name FROM unnest($1::text[]) AS r (run_uid)"
            " JOIN fields f USING (run_uid) ORDER BY f.section, f.name",
            list(run_uids),
        )
        sections: dict[str, list[str]] = {"data": [], "custom_data": [], "input": []}
        for section, name in rows:
            sections[section].append(name.decode())
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
        rows: list[Row] = []
        if chosen.input_key is None and not chosen.custom and after.input_key == NO_INPUT:
            rows = [*await self._rows(*_counted(run_uid, chosen, before_seq, after, limit))]
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
        sizes = accumulate(row["body_bytes"] for row in rows)
        rows = rows[: 1 + sum(size < bytes_max for size in sizes)]
        bodies = await self._bodies(run_uid, [row["seq"] for row in rows])
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
            " WHERE v.run_uid = $1 AND v.path = $2 AND v.value = $3"
        )
        rows = await self._rows(f"{sql} LIMIT $4", run_uid, *_encoded(custom[0]), _FEW + 1)
        if len(rows) > _FEW:
            return None
        found = {row[0] for row in rows}
        for pair in custom[1:]:
            rows = await self._rows(
                f"{sql} AND v.input_no = ANY($4::bigint[])",
                run_uid,
                *_encoded(pair),
                sorted(found),
            )
            found = {row[0] for row in rows}
        return sorted(found)

    async def _bodies(self, run_uid: str, seqs: Sequence[int]) -> dict[int, bytes]:
        rows = await self._rows(_BODY_OF, run_uid, list(seqs))
        return await asyncio.to_thread(_unpacked, rows)

    # ------------------------------------------------------------------ inputs

    async def inputs(
        self, run_uid: str, chosen: InputFilter, *, after: bytes, limit: int
    ) -> list[InputView]:
        """Inputs in export order, after an input key (b"" for the start)."""
        where = _Where()
        where.add("i.run_uid = %", run_uid)
        where.add("i.input_key > %", after)
        if chosen.statuses:
            where.add("i.status = ANY(%::text[])", list(chosen.statuses))
        if chosen.error_label is not None:
            where.add("i.error_label = %", chosen.error_label)
        if chosen.custom:
            matching = await self._few_inputs_with(run_uid, chosen.custom)
            if matching is not None:
                where.add("i.input_no = ANY(%::bigint[])", matching)
            else:
                _add_custom(where, chosen.custom)
        rows = await self._rows(
            "SELECT i.input_no, i.input_key, i.input, i.custom_data, i.status, i.error, i.results,"
            f" i.first_received_ms, i.last_received_ms FROM inputs i WHERE {where}"
            f" ORDER BY i.input_key LIMIT {where.bind(limit)}",
            *where.values,
        )
        return [InputView(*row) for row in rows]

    # --------------------------------------------------------------- callbacks

    async def callbacks(self, run_uid: str, *, after_seq: int, limit: int) -> list[CallbackView]:
        """The log of a run in order of arrival."""
        rows = await self._rows(
            "SELECT seq, callback_key, batch_uid, status, results, is_winner, lost_to,"
            " conflicts_with, received_ms, body_bytes, note FROM callbacks"
            " WHERE run_uid = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            run_uid,
            after_seq,
            limit,
        )
        return [CallbackView(*row) for row in rows]

    async def raw(self, run_uid: str, seq: int) -> bytes:
        """The body of a callback exactly as received. Raises KeyError if the log has none there."""
        return (await self._bodies(run_uid, [seq]))[seq]

    async def seqs(self, run_uid: str, key: str) -> list[int]:
        """Where the log has the callback of this key, then its conflicts; [] if nowhere."""
        rows = await self._rows(
            "SELECT 0, seq FROM callback_keys WHERE run_uid = $1 AND callback_key = $2"
            " UNION ALL SELECT 1, seq FROM conflicts WHERE run_uid = $1 AND callback_key = $2"
            " ORDER BY 1, 2",
            run_uid,
            key,
        )
        return [row[1] for row in rows]

    # -------------------------------------------------------------- quarantine

    async def quarantined(self, *, after: str, limit: int) -> list[QuarantineView]:
        """Entries of the quarantine, oldest first, after an id ("" for the start)."""
        rows = await self._rows(
            "SELECT quarantine_id, received_ms, last_received_ms, times_seen, reason, detail,"
            " content_type, body_bytes FROM quarantine WHERE quarantine_id > $1"
            " ORDER BY quarantine_id LIMIT $2",
            after,
            limit,
        )
        return [QuarantineView(*row) for row in rows]

    async def quarantined_entry(self, quarantine_id: str) -> tuple[QuarantineView, bytes] | None:
        """An entry and its body, None if there is none by that id."""
        rows = await self._rows(
            "SELECT quarantine_id, received_ms, last_received_ms, times_seen, reason, detail,"
            " content_type, body_bytes, frame FROM quarantine WHERE quarantine_id = $1",
            quarantine_id,
        )
        if not rows:
            return None
        *columns, frame = rows[0]
        return QuarantineView(*columns), zstandard.decompress(frame)

    async def quarantine_size(self) -> int:
        """How many entries the quarantine has."""
        return int((await self._rows("SELECT count(*) FROM quarantine"))[0][0])

    # ------------------------------------------------------------------ health

    async def lag(self, now_ms: int) -> Lag:
        """How far the projection is behind, at the Unix time `now_ms`; counted by segments."""
        rows = await self._rows(
            "SELECT coalesce(sum(l.next_seq - coalesce(p.next_seq, 1)), 0)::bigint, min(("
            " SELECT s.received_ms FROM segments s WHERE s.run_uid = l.run_uid"
            " AND s.first_seq + s.callbacks > coalesce(p.next_seq, 1)"
            " ORDER BY s.first_seq LIMIT 1))"
            " FROM log_runs l LEFT JOIN projections p USING (run_uid)"
            " WHERE l.is_dirty AND l.next_seq > coalesce(p.next_seq, 1)"
        )
        callbacks, oldest_ms = rows[0]
        age_s = 0.0 if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000
        return Lag(callbacks, age_s)

    async def sizes(self) -> dict[str, int]:
        """Bytes of each part of the database, indexes included."""
        rows = await self._rows(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relname = ANY($1)),"
            " 0)::bigint, coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE NOT c.relname ="
            " ANY($1)), 0)::bigint FROM pg_class c"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')",
            ["log_runs", "segments", "callback_keys", "conflicts", "quarantine", "migrations"],
        )
        return {"log": rows[0][0], "projection": rows[0][1]}


def _comparable(value: object) -> object:
    """NULL, which equals nothing, in the place of a text that PostgreSQL cannot hold."""
    if isinstance(value, str):
        return None if "\0" in value else value
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    return value


class _Where:
    """Conditions and their values: `%` in a condition stands for the next value."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._conditions: list[str] = []

    def bind(self, value: object) -> str:
        """The place of a value in the statement."""
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, condition: str, *values: object) -> None:
        """One more condition, with a value for each `%` in it."""
        first, *rest = condition.split("%")
        parts = [first]
        for value, part in zip(values, rest, strict=True):
            parts += self.bind(value), part
        self._conditions.append("".join(parts))

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "true"


def _counted(
    run_uid: str,
    chosen: ResultFilter,
    before_seq: int,
    after: ResultPosition,
    limit: int,
    *,
    matching: Sequence[int] | None = None,
    by_input: bool = False,
) -> tuple[Any, ...]:
    """The statement for callbacks whose results count: of inputs, or of no input at all.

    Inputs are walked in the order of their key, so that a page costs what is on it.
    """
    where = _Where()
    run = where.bind(run_uid)
    where.add(f"c.run_uid = {run} AND c.content IS NOT NULL")
    where.add("c.seq < %", before_seq)
    where.add("(c.lost_to IS NULL OR c.lost_to >= %)", before_seq)
    is_later = (
        f"c.callback_key {'>=' if after.place >= 0 else '>'} {where.bind(after.callback_key)}"
    )
    if chosen.received_after_ms is not None:
        where.add("c.received_ms > %", chosen.received_after_ms)
    if not by_input:
        source, key, order = "callbacks c", "''::bytea", "c.callback_key"
        where.add(f"c.input_no = 0 AND {is_later}")
    else:
        source = "inputs i JOIN callbacks c USING (run_uid, input_no)"
        key, order = "i.input_key", "i.input_key, c.callback_key"
        after_key = where.bind(after.input_key)
        where.add(f"i.run_uid = {run} AND i.input_key >= {after_key}")
        where.add(f"(i.input_key > {after_key} OR {is_later})")
        if chosen.input_key is not None:
            where.add("i.input_key = %", chosen.input_key)
        if matching is not None:
            where.add("i.input_no = ANY(%::bigint[])", list(matching))
        else:
            _add_custom(where, chosen.custom)
    statement = (
        f"SELECT c.seq, c.callback_key, {key}, c.content, c.batch_uid, c.received_ms, c.body_bytes"
        f" FROM {source} WHERE {where} ORDER BY {order} LIMIT {where.bind(limit)}"
    )
    return statement, *where.values


def _add_custom(where: _Where, custom: Sequence[CustomFilter]) -> None:
    for pair in custom:
        where.add(
            "EXISTS (SELECT FROM custom_values v WHERE v.run_uid = i.run_uid AND v.path = %"
            " AND v.value = % AND v.input_no = i.input_no)",
            *_encoded(pair),
        )


def _encoded(pair: CustomFilter) -> tuple[bytes, bytes]:
    path, value = pair
    return path.encode(), value.encode()


def _runs_where(chosen: RunFilter) -> _Where:
    where = _Where()
    for column in ("status", "completeness", "action_name", "scheduled_run_uid"):
        value = getattr(chosen, column)
        if value is not None:
            where.add(f"r.{column} = %", value)
    if chosen.run_uids:
        where.add("r.run_uid = ANY(%::text[])", list(chosen.run_uids))
    if chosen.created_after_ms is not None:
        where.add("r.first_received_ms > %", chosen.created_after_ms)
    if chosen.search is not None:
        where.add(
            "(strpos(r.run_uid, %) > 0 OR EXISTS (SELECT FROM fields f JOIN custom_values v"
            " ON v.run_uid = f.run_uid AND v.path = f.name AND v.value = %"
            " WHERE f.run_uid = r.run_uid AND f.section = 'custom_data'))",
            chosen.search,
            chosen.search.encode(),
        )
    for path, value in chosen.custom:
        where.add(
            "EXISTS (SELECT FROM custom_values v WHERE v.run_uid = r.run_uid AND v.path = %"
            " AND v.value = %)",
            path.encode(),
            value.encode(),
        )
    return where


def _unpacked(rows: Sequence[Row]) -> dict[int, bytes]:
    """The bodies at (seq, first_seq, frame); called on a thread, since frames may be many."""
    decompressor = zstandard.ZstdDecompressor()
    frames: dict[int, list[segments.Entry]] = {}
    bodies = {}
    for seq, first_seq, frame in rows:
        if first_seq not in frames:
            frames[first_seq] = segments.unpack(frame, decompressor)
        if seq - first_seq < len(frames[first_seq]):
            bodies[seq] = frames[first_seq][seq - first_seq].body
    return bodies
