"""Erasures in PostgreSQL: bodies are written anew, portion by portion, by one replica.

Whoever adds a tombstone holds a lock that all appends pass (`erasures_are_known`): what was
under way before is committed by then and will be found, what comes after knows the tombstone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, NamedTuple, TypeVar

import zstandard

from app.canonical import digest
from app.crash_points import reach
from app.erasing import Eraser, Tombstones
from app.store import segments
from app.store.erasures import (
    COLUMNS,
    EVENTS_AT_ONCE,
    EXPIRY,
    PERSON,
    RUN,
    SKIPPED,
    ErasureRow,
    Erasures,
    Progress,
    kept_without,
)
from app.store.outbox import Outbox
from app.store.postgres.driver import WORK_TIMEOUT_S, Connection, KeptConnection, outages
from app.store.postgres.projection import DERIVED_TABLES
from app.store.protocol import StoreUnavailableError

T = TypeVar("T")

SEGMENTS_AT_ONCE = 128
ROWS_AT_ONCE = 5_000
KEPT_AT_ONCE = 8
"""Bodies in quarantine, which may be long."""

TRIES_MAX = 10
"""How often something is tried again because others added tombstones meanwhile."""

_MARKS = ", ".join(f"${place}" for place in range(1, len(ErasureRow._fields) + 1))
_HOLDING = "1163084627::bigint << 32 | 'erasures'::regclass::oid::bigint"
_BY_NUMBER = {"callback_keys": "seq", "conflicts": "seq", "segments": "first_seq"}
"""Where a run's log is, and its numbers; keys first: by them bodies are looked up."""
_MANY = (*DERIVED_TABLES, "raised_events", "attempts", "deliveries", "events")
_FEW = ("reconciliations", "marked_runs", "announcements", "reworked")
"""Of these a run has a row, or one for each time that it was looked at."""
# The row is locked by a worker that is deriving the run anew from what was; then it is gone, and
# this one is another.
_REWORK = """
    INSERT INTO reworked (run_uid) VALUES ($1)
    ON CONFLICT (run_uid) DO UPDATE SET run_uid = excluded.run_uid
"""


class StaleTombstonesError(Exception):
    """Another replica added tombstones that are not known here; nothing was written."""


def is_stale(error: BaseException) -> bool:
    """Whether `erasures_are_known` has refused."""
    return getattr(error, "sqlstate", None) == "EC001"


class _Changed(NamedTuple):
    """A segment that is to be written anew."""

    run_uid: str
    first_seq: int
    frame: bytes
    keys: list[tuple[bytes, str, str, int]]
    """Digest of the body, run uid, key and seq of each callback that changed."""
    found: segments.Without


class PostgresErasures(Erasures):
    """Over a connection of its own."""

    steps: ClassVar[dict[str, Sequence[str]]] = {
        PERSON: ("bodies", "kept", "derived", "raised", "events"),
        RUN: ("run", "events"),
        EXPIRY: ("run", "events"),
    }

    def __init__(self, url: str, outbox: Outbox) -> None:
        super().__init__(outbox)
        self._connection = KeptConnection(url, timeout_s=WORK_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def knowing(self, write: Callable[[Tombstones], Awaitable[T]]) -> T:
        """What `write` makes of the tombstones; again if others have added some meanwhile.

        Raises StoreUnavailableError if that happens all the time.
        """
        for _ in range(TRIES_MAX):
            try:
                return await write(self.tombstones)
            except StaleTombstonesError:
                await self.load()
        raise StoreUnavailableError("erasures are asked for faster than they can be heeded")

    async def _fetch(self, sql: str, *values: object) -> list[Any]:
        with outages():
            async with self._connection.held() as connection:
                return list(await connection.fetch(sql, *values))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        with outages():
            async with self._connection.held() as connection, connection.transaction():
                yield connection

    # ------------------------------------------------------------------- rows

    async def _sealed_key(self) -> str | None:
        rows = await self._fetch("SELECT erasure_key FROM erasure_state")
        return rows[0][0] if rows else None

    async def _keep_key(self, sealed: str, instead_of: str | None) -> str:
        await self._fetch(
            "INSERT INTO erasure_state AS s (state_no, version, erasure_key) VALUES (1, 0, $1)"
            " ON CONFLICT (state_no) DO UPDATE SET erasure_key = $1"
            " WHERE s.erasure_key IS NOT DISTINCT FROM $2",
            sealed,
            instead_of,
        )
        return await self._sealed_key() or sealed

    async def load(self) -> None:
        """All of one moment."""
        rows = await self._fetch(
            "SELECT coalesce(s.version, 0), s.erasure_key, e.run_uid, e.field, e.value_digest"
            " FROM (SELECT 1) AS one LEFT JOIN erasure_state s ON true"
            " LEFT JOIN erasures e ON e.lifted_ms IS NULL AND e.kind <> $1",
            EXPIRY,
        )
        version, sealed, *_ = rows[0]
        self.tombstones = self._tombstones(version, sealed, [row[2:] for row in rows])

    async def add(self, row: ErasureRow) -> None:
        """Under the lock that appends pass."""
        async with self._transaction() as connection:
            await connection.execute("LOCK TABLE erasure_state IN EXCLUSIVE MODE")
            await connection.execute(f"INSERT INTO erasures ({COLUMNS}) VALUES ({_MARKS})", *row)
            await _change_version(connection)
        await self.load()

    async def rows(self, *, before: str | None, limit: int) -> list[ErasureRow]:
        """Newest first."""
        found = await self._fetch(
            f"SELECT {COLUMNS} FROM erasures WHERE erasure_id < coalesce($1, 'x')"
            " ORDER BY erasure_id DESC LIMIT $2",
            before,
            limit,
        )
        return [ErasureRow(*row) for row in found]

    async def row(self, erasure_id: str) -> ErasureRow | None:
        """One erasure."""
        found = await self._fetch(
            f"SELECT {COLUMNS} FROM erasures WHERE erasure_id = $1", erasure_id
        )
        return ErasureRow(*found[0]) if found else None

    async def unfinished(self) -> ErasureRow | None:
        """The oldest one."""
        found = await self._fetch(
            f"SELECT {COLUMNS} FROM erasures WHERE finished_ms IS NULL ORDER BY erasure_id LIMIT 1"
        )
        return ErasureRow(*found[0]) if found else None

    async def lift(self, erasure_id: str, by: str, now_ms: int) -> bool:
        """Under the same lock."""
        async with self._transaction() as connection:
            await connection.execute("LOCK TABLE erasure_state IN EXCLUSIVE MODE")
            lifted = await connection.fetch(
                "UPDATE erasures SET lifted_by = $2, lifted_ms = $3"
                " WHERE erasure_id = $1 AND lifted_ms IS NULL AND kind <> $4 RETURNING 1",
                erasure_id,
                by,
                now_ms,
                EXPIRY,
            )
            await _change_version(connection)
        await self.load()
        return bool(lifted)

    async def silent_runs(self, before_ms: int, limit: int) -> list[str]:
        """By when they were last heard of; none that has something to be projected."""
        found = await self._fetch(
            "SELECT r.run_uid FROM runs r JOIN log_runs l USING (run_uid)"
            " JOIN projections p USING (run_uid)"
            " WHERE r.last_received_ms < $1 AND l.next_seq = p.next_seq AND NOT EXISTS ("
            "  SELECT FROM erasures e WHERE e.finished_ms IS NULL AND e.run_uid = r.run_uid)"
            " ORDER BY r.last_received_ms LIMIT $2",
            before_ms,
            limit,
        )
        return [run_uid for (run_uid,) in found]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """One replica at a time, until its connection ends; what two did would be done once."""
        ((is_ours,),) = await self._fetch(f"SELECT pg_try_advisory_lock({_HOLDING})")
        try:
            yield is_ours
        finally:
            if is_ours:
                await self._fetch(f"SELECT pg_advisory_unlock({_HOLDING})")

    async def _save(self, row: ErasureRow) -> None:
        async with self._transaction() as connection:
            await _save(connection, row)

    # ----------------------------------------------------------------- people

    async def _step_bodies(self, row: ErasureRow) -> ErasureRow:
        """The next segments of the log, run by run."""
        progress, counts, eraser = row.at, row.counted, self.eraser(row)
        after_uid, after_seq, changed_uid = progress.after or ("", 0, "")
        rows = await self._fetch(
            "SELECT run_uid, first_seq, repeats, frame FROM segments"
            " WHERE (run_uid, first_seq) > ($1, $2) ORDER BY run_uid, first_seq LIMIT $3",
            after_uid,
            after_seq,
            SEGMENTS_AT_ONCE,
        )
        changed = await asyncio.to_thread(_without, eraser, rows)
        for segment in changed:
            counts.callbacks += len(segment.found.changed)
            counts.results += segment.found.results
            counts.inputs += segment.found.inputs
            counts.runs += segment.run_uid != changed_uid
            changed_uid = segment.run_uid
        is_last = len(rows) < SEGMENTS_AT_ONCE
        at = [] if is_last else [rows[-1]["run_uid"], rows[-1]["first_seq"], changed_uid]
        moved = row.moved(Progress("" if is_last else "bodies", at), counts)
        async with self._transaction() as connection:
            for segment in changed:
                await connection.execute(
                    "UPDATE segments SET frame = $3 WHERE run_uid = $1 AND first_seq = $2",
                    *segment[:3],
                )
                await connection.executemany(
                    "UPDATE callback_keys SET body_digest = $1"
                    " WHERE run_uid = $2 AND callback_key = $3 AND seq = $4",
                    segment.keys,
                )
            for run_uid in sorted({segment.run_uid for segment in changed}):
                await connection.execute(_REWORK, run_uid)
            if moved.at.step:
                await _save(connection, moved)
            reach("erasure before commit")
        return moved

    async def _step_kept(self, row: ErasureRow) -> ErasureRow:
        """The next bodies in quarantine; behind the last one, what Edges said of schedules."""
        eraser, counts = self.eraser(row), row.counted
        found = await self._fetch(
            "SELECT quarantine_id, frame FROM quarantine WHERE quarantine_id > $1"
            " ORDER BY quarantine_id LIMIT $2",
            str(row.at.after[0]) if row.at.after else "",
            KEPT_AT_ONCE,
        )
        changed = await asyncio.to_thread(kept_without, eraser, found)
        counts.quarantined += len(changed)
        is_last = len(found) < KEPT_AT_ONCE
        async with self._transaction() as connection:
            for quarantine_id, body, frame in changed:
                # Two that differ in nothing but what was erased, or in how it was spelled.
                await connection.execute(
                    "DELETE FROM quarantine WHERE body_digest = $1 AND quarantine_id <> $2",
                    digest(body),
                    quarantine_id,
                )
                await connection.execute(
                    "UPDATE quarantine SET frame = $2, body_bytes = $3, body_digest = $4"
                    " WHERE quarantine_id = $1",
                    quarantine_id,
                    frame,
                    len(body),
                    digest(body),
                )
            if is_last:
                counts.schedules += await _erase_from_schedules(connection, eraser)
            moved = row.moved(Progress("") if is_last else Progress("kept", [found[-1][0]]), counts)
            if moved.at.step:
                await _save(connection, moved)
        return moved

    async def _step_derived(self, row: ErasureRow) -> ErasureRow:
        """Wait until workers have derived anew what changed."""
        left = await self._fetch("SELECT 1 FROM reworked LIMIT 1")
        return row if left else row.moved(Progress(""))

    async def _step_raised(self, row: ErasureRow) -> ErasureRow:
        """What waits to be told. A row that is being taken over is waited for, and found there."""
        eraser = self.eraser(row)
        after = int(row.at.after[0]) if row.at.after else 0
        found = await self._fetch(
            "SELECT raised_no, data FROM raised_events WHERE raised_no > $1"
            " ORDER BY raised_no LIMIT $2",
            after,
            EVENTS_AT_ONCE,
        )
        changed = [(no, data) for no, text in found if (data := eraser.record(text)) is not None]
        async with self._transaction() as connection:
            await connection.executemany(
                "UPDATE raised_events SET data = $2 WHERE raised_no = $1", changed
            )
        is_last = len(found) < EVENTS_AT_ONCE
        return row.moved(Progress("") if is_last else Progress("raised", [found[-1][0]]))

    # ------------------------------------------------------------------- runs

    async def _step_run(self, row: ErasureRow) -> ErasureRow:
        """The next rows of a run, which is out of sight from the first portion on.

        So that a portion is short, however long the run is, and what was begun goes on from
        where it is. No worker is at the run meanwhile; what comes of it in spite of that, as
        only of one that expires, stays, and is projected when all before it is gone.
        """
        counts = row.counted
        async with self._transaction() as connection:
            # In the order in which those lock them who derive a run anew, or project it; whoever
            # appends to it has the last one alone.
            for table in ("reworked", "projections", "log_runs"):
                await connection.execute(
                    f"SELECT FROM {table} WHERE run_uid = $1 FOR UPDATE", row.run_uid
                )
            if not row.at.after:
                if row.kind == EXPIRY and not await _is_silent(connection, row):
                    return row.moved(Progress(SKIPPED))
                before_seq = await _hide(connection, row.run_uid)
            else:
                before_seq = int(row.at.after[0])
            dropped, callbacks = await _drop_some(connection, row.run_uid, before_seq)
            counts.callbacks += callbacks
            counts.runs = int(bool(counts.callbacks))
            if not dropped:
                await _forget(connection, row.run_uid)
            moved = row.moved(Progress("run" if dropped else "", [before_seq]), counts)
            await _save(connection, moved if dropped else row.moved(row.at, counts))
            reach("erasure before commit")
        return moved if dropped else row.moved(Progress(""), counts)


async def _hide(connection: Connection, run_uid: str | None) -> int:
    """Take a run out of sight, and from workers; the number before which all of it is to go."""
    before_seq = await connection.fetchval(
        "UPDATE log_runs SET is_dirty = false WHERE run_uid = $1 RETURNING next_seq", run_uid
    )
    if before_seq is not None:
        await connection.execute(
            "INSERT INTO projections AS p (run_uid, next_seq, leased_until)"
            " VALUES ($1, $2, 'infinity') ON CONFLICT (run_uid) DO UPDATE SET"
            " next_seq = excluded.next_seq, leased_by = NULL, leased_until = 'infinity',"
            " derivation = p.derivation + 1",
            run_uid,
            before_seq,
        )
    for table in ("reworked", "runs"):
        await connection.execute(f"DELETE FROM {table} WHERE run_uid = $1", run_uid)
    return before_seq or 1


async def _drop_some(
    connection: Connection, run_uid: str | None, before_seq: int
) -> tuple[int, int]:
    """Drop some rows of a run: how many, 0 once all are gone; and how many callbacks they held."""
    for table, number in _BY_NUMBER.items():
        callbacks = "callbacks - cardinality(repeats)" if table == "segments" else "0"
        dropped = await connection.fetch(
            f"DELETE FROM {table} WHERE run_uid = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM {table}"
            f" WHERE run_uid = $1 AND {number} < $2 LIMIT $3)) RETURNING {callbacks}",
            run_uid,
            before_seq,
            SEGMENTS_AT_ONCE if table == "segments" else ROWS_AT_ONCE,
        )
        if dropped:
            return len(dropped), sum(found for (found,) in dropped)
    for table in _MANY:
        dropped = await connection.fetch(
            f"DELETE FROM {table} WHERE run_uid = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM {table}"
            " WHERE run_uid = $1 LIMIT $2)) RETURNING 0",
            run_uid,
            ROWS_AT_ONCE,
        )
        if dropped:
            return len(dropped), 0
    return 0, 0


async def _forget(connection: Connection, run_uid: str | None) -> None:
    """What is left of a run of which all else is gone, unless callbacks came meanwhile."""
    for table in _FEW:
        await connection.execute(f"DELETE FROM {table} WHERE run_uid = $1", run_uid)
    gone = await connection.fetch(
        "DELETE FROM log_runs l WHERE run_uid = $1"
        " AND NOT EXISTS (SELECT FROM segments s WHERE s.run_uid = l.run_uid) RETURNING 1",
        run_uid,
    )
    # A worker makes the row again, and projects what there is from the first on.
    await connection.execute("DELETE FROM projections WHERE run_uid = $1", run_uid)
    if not gone:
        await connection.execute(
            "UPDATE log_runs SET is_dirty = true, duplicates = 0 WHERE run_uid = $1", run_uid
        )


async def _change_version(connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO erasure_state AS s (state_no, version) VALUES (1, 1)"
        " ON CONFLICT (state_no) DO UPDATE SET version = s.version + 1"
    )


async def _save(connection: Connection, row: ErasureRow) -> None:
    await connection.execute(
        "UPDATE erasures SET progress = $2, counts = $3, finished_ms = $4 WHERE erasure_id = $1",
        row.erasure_id,
        row.progress,
        row.counts,
        row.finished_ms,
    )


async def _is_silent(connection: Connection, row: ErasureRow) -> bool:
    """Whether nothing came of a run since it was to expire."""
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM runs r JOIN log_runs l USING (run_uid)"
            " JOIN projections p USING (run_uid)"
            " WHERE run_uid = $1 AND l.next_seq = p.next_seq AND r.last_received_ms < $2",
            row.run_uid,
            row.requested_ms,
        )
    )


async def _erase_from_schedules(connection: Connection, eraser: Eraser) -> int:
    changed = 0
    for uid, *texts in await connection.fetch(
        "SELECT schedule_uid, record, phases FROM schedules ORDER BY schedule_uid FOR UPDATE"
    ):
        without = [eraser.record(text) for text in texts]
        if without != [None, None]:
            record, phases = (new or old for new, old in zip(without, texts, strict=True))
            await connection.execute(
                "UPDATE schedules SET record = $2, phases = $3 WHERE schedule_uid = $1",
                uid,
                record,
                phases,
            )
            changed += 1
    return changed


def _without(eraser: Eraser, rows: Sequence[Any]) -> list[_Changed]:
    decompressor, compressor = zstandard.ZstdDecompressor(), segments.compressor()
    changed = []
    for run_uid, first_seq, repeats, frame in rows:
        found = segments.without(eraser, segments.unpack(frame, decompressor))
        if found is None:
            continue
        (packed,) = segments.pack([found.entries], compressor)
        keys = [
            (digest(entry.body), run_uid, entry.key, first_seq + place)
            for place, entry in found.changed
            if place not in repeats and entry.conflicts_with is None
        ]
        changed.append(_Changed(run_uid, first_seq, packed, keys, found))
    return changed
