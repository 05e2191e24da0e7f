"""Reading for the API and the exports, over a pool of connections that only read."""

import asyncio
import itertools
import re
from collections.abc import Sequence

import zstandard

from app.store import segments
from app.store.erasures import SKIPPED
from app.store.postgres.driver import Pool, Row, connection_pool, outages
from app.store.reader import Reader
from app.store.views import CustomFilter, Fields, Lag, Window

_CONNECTIONS = 4
_BODY_OF = """
    SELECT c.seq, s.first_seq, s.frame
    FROM unnest(?::bigint[]) AS c (seq)
    CROSS JOIN LATERAL (
        SELECT first_seq, frame FROM segments
        WHERE run_uid = ? AND first_seq <= c.seq ORDER BY first_seq DESC LIMIT 1
    ) AS s
"""


_CHANGED = """
    SELECT changed.run_uid, coalesce(at_first.next_seq, 1), coalesce(at_after.next_seq, 1),
        at_until.next_seq
    FROM (SELECT DISTINCT run_uid FROM marked_runs WHERE mark_no > ? AND mark_no <= ?) AS changed
    LEFT JOIN LATERAL (SELECT next_seq FROM marked_runs m WHERE m.run_uid = changed.run_uid
        AND m.mark_no <= ? ORDER BY m.mark_no DESC LIMIT 1) AS at_first ON true
    LEFT JOIN LATERAL (SELECT next_seq FROM marked_runs m WHERE m.run_uid = changed.run_uid
        AND m.mark_no <= ? ORDER BY m.mark_no DESC LIMIT 1) AS at_after ON true
    CROSS JOIN LATERAL (SELECT next_seq FROM marked_runs m WHERE m.run_uid = changed.run_uid
        AND m.mark_no <= ? ORDER BY m.mark_no DESC LIMIT 1) AS at_until
"""


class PostgresReader(Reader):
    """A few connections that only read, shared by all requests."""

    runs_from = "runs r JOIN log_runs l USING (run_uid) JOIN projections p USING (run_uid)"
    next_seq = "p.next_seq"
    run_is = "{0}.run_uid = ?"
    same_run = "{0}.run_uid = {1}.run_uid"
    position = "strpos"

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
            rows: Sequence[Row] = await self._pool.fetch(numbered(sql), *map(_comparable, values))
        return rows

    def _among(self, column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, object]:
        return f"{column} = ANY(?)", list(values)

    def _custom(self, pair: CustomFilter) -> tuple[object, object]:
        path, value = pair
        return path.encode(), value.encode()

    def _inputs_from(self, index: str) -> str:
        del index  # the planner chooses
        return "inputs i"

    async def fields(self, run_uids: Sequence[str]) -> Fields:
        """The fields of these runs together, and the kinds of values that they have held."""
        rows = await self._rows(
            "SELECT DISTINCT f.section, f.name, f.kinds FROM unnest(?::text[]) AS r (run_uid)"
            " JOIN fields f USING (run_uid)",
            list(run_uids),
        )
        return Fields.of((section, name.decode(), kinds) for section, name, kinds in rows)

    async def _bodies(self, run_uid: str, seqs: Sequence[int]) -> dict[int, bytes]:
        rows = await self._rows(_BODY_OF, list(seqs), run_uid)
        return await asyncio.to_thread(_unpacked, rows)

    async def seqs(self, run_uid: str, key: str) -> list[int]:
        """Where the log has the callback of this key, then its conflicts; [] if nowhere."""
        rows = await self._rows(
            "SELECT 0, seq FROM callback_keys WHERE run_uid = ? AND callback_key = ?"
            " UNION ALL SELECT 1, seq FROM conflicts WHERE run_uid = ? AND callback_key = ?"
            " ORDER BY 1, 2",
            run_uid,
            key,
            run_uid,
            key,
        )
        return [row[1] for row in rows]

    async def changed(self, *, first: int, after: int | None, until: int) -> dict[str, Window]:
        """The runs of which something was projected between two marks, by uid.

        Marks are made by `PostgresMarks`; `first` is that of the first load.
        """
        after = after or 0
        rows = await self._rows(_CHANGED, after, until, first, after, until)
        return {uid: Window(*seqs) for uid, *seqs in rows}

    async def times_begun_anew(self, run_uid: str) -> int:
        """With each deletion of it."""
        rows = await self._rows(
            "SELECT count(*) FROM erasures WHERE run_uid = ? AND finished_ms IS NOT NULL"
            " AND strpos(progress, ?) = 0",
            run_uid,
            f'"{SKIPPED}"',
        )
        return int(rows[0][0])

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
            "SELECT CASE WHEN c.relname ~ ? THEN 'log' WHEN c.relname ~ ? THEN 'outbox'"
            " ELSE 'projection' END,"
            " sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' GROUP BY 1",
            "^(log_runs|segments|callback_keys|conflicts|quarantine|migrations"  # and partitions
            "|schedules|missed_iterations|turns|reconciliations|budgets|copies|marks|marked_runs"
            "|exports)",
            "^(relay|announcements|raised_events|events|endpoints|deliveries|attempts|sinks"
            "|sink_runs)",
        )
        return dict(map(tuple, rows))


def numbered(sql: str) -> str:
    """A statement with `$1`, `$2`, … in the place of each `?`."""
    numbers = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


def _comparable(value: object) -> object:
    """NULL, which equals nothing, in the place of a text that PostgreSQL cannot hold."""
    if isinstance(value, str):
        return None if "\0" in value else value
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    return value


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
