"""Erasures in SQLite: the log's bodies are written anew, portion by portion.

What is read and understood of a portion is so on a thread of its own; the log's thread, for
which callbacks wait, only writes what changed. What is derived of the runs is derived anew by
the worker, which alone writes that file. Freed bytes are overwritten, write-ahead logs emptied.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import monotonic
from typing import ClassVar, NamedTuple

import zstandard

from app.canonical import digest
from app.crash_points import reach
from app.erasing import Eraser, Tombstones
from app.store import segments
from app.store.erasures import (
    COLUMNS,
    EXPIRY,
    PERSON,
    RUN,
    SKIPPED,
    ErasureRow,
    Erasures,
    Progress,
    kept_without,
)
from app.store.protocol import StoreUnavailableError
from app.store.sqlite.driver import Connection, Error, connect_reader
from app.store.sqlite.log import SqliteLogWriter
from app.store.sqlite.outbox import SqliteOutbox
from app.store.sqlite.reader import SqliteReader
from app.store.sqlite.thread import StoreThread

SEGMENTS_AT_ONCE = 128
KEYS_AT_ONCE = 2_000
DROPPED_AT_ONCE = 64
KEPT_AT_ONCE = 8
"""Bodies in quarantine, which may be long."""

_SAVE_S = 1.0
"""Between two notes of where a search is that finds nothing."""

_MARKS = ", ".join("?" * len(ErasureRow._fields))
_REWORK = """
    INSERT INTO reworked (run_no, rework_no)
    VALUES (?, (SELECT coalesce(max(rework_no), 0) + 1 FROM reworked))
    ON CONFLICT (run_no) DO UPDATE SET rework_no = excluded.rework_no
"""


class _Segment(NamedTuple):
    """A segment that is to be written anew."""

    first_seq: int
    run_no: int
    frame: bytes


class _Portion(NamedTuple):
    """What is to be written of a portion of the log."""

    last_seq: int | None
    """The first seq of the last segment looked at; None behind the last one of all."""
    changed: list[_Segment]
    callbacks: int
    results: int
    inputs: int


class SqliteErasures(Erasures):
    """Writes on the log's thread. There is only one process that does."""

    steps: ClassVar[dict[str, Sequence[str]]] = {
        PERSON: ("bodies", "kept", "derived", "events", "scrub"),
        RUN: ("keys", "segments", "derived", "events", "scrub"),
        EXPIRY: ("keys", "segments", "derived", "events"),
    }

    def __init__(
        self, log_path: Path, reader: SqliteReader, outbox: SqliteOutbox, thread: StoreThread
    ) -> None:
        super().__init__(outbox)
        self._sqlite_outbox = outbox
        self._log_path = log_path
        self._reader = reader
        self._thread = thread
        self._writer: SqliteLogWriter
        self._saved_s = 0.0

    async def open(self, writer: SqliteLogWriter) -> None:
        """Begin with `writer`, which logs nothing that a tombstone forbids from then on."""
        self._writer = writer
        await self.load()

    # ------------------------------------------------------------------- rows

    async def _sealed_key(self) -> str | None:
        """As it was kept."""
        ((sealed,),) = await self._reader.log_rows("SELECT erasure_key FROM log.log_state")
        return None if sealed is None else str(sealed)

    async def _keep_key(self, sealed: str, instead_of: str | None) -> str:
        """One transaction."""

        def keep(connection: Connection) -> str:
            connection.execute(
                "UPDATE log_state SET erasure_key = ? WHERE erasure_key IS ?", (sealed, instead_of)
            )
            (kept,) = connection.execute("SELECT erasure_key FROM log_state").fetchone()
            return str(kept)

        return await self._thread.run(self._writer.transact, keep)

    async def load(self) -> None:
        """On the log's thread, so that the next batch knows them."""
        self.tombstones = await self._thread.run(self._load)

    def _load(self) -> Tombstones:
        def read(connection: Connection) -> tuple[str | None, list[tuple[object, ...]]]:
            (sealed,) = connection.execute("SELECT erasure_key FROM log_state").fetchone()
            rows = connection.execute(
                "SELECT run_uid, field, value_digest FROM erasures"
                " WHERE lifted_ms IS NULL AND kind <> ?",
                (EXPIRY,),
            ).fetchall()
            return sealed, rows

        version = self._writer.tombstones.version + 1
        tombstones = self._tombstones(version, *self._writer.transact(read))
        self._writer.tombstones = tombstones
        return tombstones

    async def add(self, row: ErasureRow) -> None:
        """What waits for the log's thread is logged after it, and so without it."""

        def add(connection: Connection) -> None:
            bounded = row.moved(Progress(row.at.step, before=self._writer.next_seq))
            connection.execute(f"INSERT INTO erasures ({COLUMNS}) VALUES ({_MARKS})", bounded)

        def added() -> Tombstones:
            self._writer.transact(add)
            return self._load()

        self.tombstones = await self._thread.run(added)

    async def rows(self, *, before: str | None, limit: int) -> list[ErasureRow]:
        """Newest first."""
        found = await self._reader.log_rows(
            f"SELECT {COLUMNS} FROM log.erasures WHERE erasure_id < coalesce(?, 'x')"
            " ORDER BY erasure_id DESC LIMIT ?",
            before,
            limit,
        )
        return [ErasureRow(*row) for row in found]

    async def row(self, erasure_id: str) -> ErasureRow | None:
        """One erasure."""
        found = await self._reader.log_rows(
            f"SELECT {COLUMNS} FROM log.erasures WHERE erasure_id = ?", erasure_id
        )
        return ErasureRow(*found[0]) if found else None

    async def unfinished(self) -> ErasureRow | None:
        """The oldest one."""
        found = await self._reader.log_rows(
            f"SELECT {COLUMNS} FROM log.erasures WHERE finished_ms IS NULL"
            " ORDER BY erasure_id LIMIT 1"
        )
        return ErasureRow(*found[0]) if found else None

    async def lift(self, erasure_id: str, by: str, now_ms: int) -> bool:
        """One transaction."""

        def lift() -> tuple[bool, Tombstones]:
            changed = self._writer.transact(
                lambda connection: (
                    connection.execute(
                        "UPDATE erasures SET lifted_by = ?, lifted_ms = ?"
                        " WHERE erasure_id = ? AND lifted_ms IS NULL AND kind <> ?",
                        (by, now_ms, erasure_id, EXPIRY),
                    ).rowcount
                )
            )
            return bool(changed), self._load()

        is_lifted, self.tombstones = await self._thread.run(lift)
        return is_lifted

    async def silent_runs(self, before_ms: int, limit: int) -> list[str]:
        """By when they were last heard of; none that has something to be projected."""
        found = await self._reader.log_rows(
            "SELECT run_uid FROM runs r INDEXED BY runs_by_last_received"
            " WHERE last_received_ms < ? AND NOT EXISTS ("
            "  SELECT 1 FROM log.segments s INDEXED BY segments_by_run"
            "  WHERE s.run_no = r.run_no AND s.first_seq >= (SELECT next_seq FROM progress))"
            " AND NOT EXISTS (SELECT 1 FROM log.erasures e"
            "  WHERE e.finished_ms IS NULL AND e.run_uid = r.run_uid)"
            " ORDER BY last_received_ms LIMIT ?",
            before_ms,
            limit,
        )
        return [run_uid for (run_uid,) in found]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """There is nobody else."""
        yield True

    async def _save(self, row: ErasureRow) -> None:
        await self._thread.run(self._writer.transact, lambda connection: _save(connection, row))

    # ----------------------------------------------------------------- people

    async def _step_bodies(self, row: ErasureRow) -> ErasureRow:
        """The next segments of the log."""
        progress, counts = row.at, row.counted
        after = int(progress.after[0]) if progress.after else 0
        portion = await asyncio.to_thread(self._without, self.eraser(row), after, progress.before)
        counts.callbacks += portion.callbacks
        counts.results += portion.results
        counts.inputs += portion.inputs

        def write(connection: Connection) -> ErasureRow:
            connection.execute("PRAGMA secure_delete = ON")
            since = progress.since if progress.since >= 0 else _last_rework(connection)
            for segment in portion.changed:
                connection.execute(
                    "UPDATE segments SET frame = ? WHERE first_seq = ?",
                    (segment.frame, segment.first_seq),
                )
            for run_no in sorted({segment.run_no for segment in portion.changed}):
                counts.runs += not connection.execute(
                    "SELECT 1 FROM reworked WHERE run_no = ? AND rework_no > ?", (run_no, since)
                ).fetchall()
                connection.execute(_REWORK, (run_no,))
            moved = row.moved(
                Progress("")
                if portion.last_seq is None
                else Progress("bodies", [portion.last_seq], progress.before, since),
                counts,
            )
            if moved.at.step:
                _save(connection, moved)
            reach("erasure before commit")
            return moved

        if portion.changed or portion.last_seq is None:
            return await self._thread.run(self._writer.transact, write)
        moved = row.moved(
            Progress("bodies", [portion.last_seq], progress.before, progress.since), counts
        )
        if monotonic() - self._saved_s > _SAVE_S:  # else a crash has it looked at again
            self._saved_s = monotonic()
            await self._save(moved)
        return moved

    def _without(self, eraser: Eraser, after: int, before: int) -> _Portion:
        try:
            with closing(connect_reader(self._log_path, cache_kib=512)) as connection:
                rows = connection.execute(
                    "SELECT first_seq, run_no, frame FROM segments"
                    " WHERE first_seq > ? AND first_seq < ? ORDER BY first_seq LIMIT ?",
                    (after, before, SEGMENTS_AT_ONCE),
                ).fetchall()
        except Error as error:
            raise StoreUnavailableError(f"the log cannot be read: {error}") from error
        last_seq = rows[-1][0] if len(rows) == SEGMENTS_AT_ONCE else None
        portion = _Portion(last_seq, [], 0, 0, 0)
        decompressor, compressor = zstandard.ZstdDecompressor(), segments.compressor()
        for first_seq, run_no, frame in rows:
            found = segments.without(eraser, segments.unpack(frame, decompressor))
            if found is None:
                continue
            (packed,) = segments.pack([found.entries], compressor)
            portion.changed.append(_Segment(first_seq, run_no, packed))
            portion = portion._replace(
                callbacks=portion.callbacks + len(found.changed),
                results=portion.results + found.results,
                inputs=portion.inputs + found.inputs,
            )
        return portion

    async def _step_kept(self, row: ErasureRow) -> ErasureRow:
        """The next bodies in quarantine; behind the last one, what Edges said of schedules."""
        eraser, counts = self.eraser(row), row.counted
        after = str(row.at.after[0]) if row.at.after else ""
        found = await self._reader.log_rows(
            "SELECT quarantine_id, frame FROM log.quarantine WHERE quarantine_id > ?"
            " ORDER BY quarantine_id LIMIT ?",
            after,
            KEPT_AT_ONCE,
        )
        changed = await asyncio.to_thread(kept_without, eraser, found)
        counts.quarantined += len(changed)
        is_last = len(found) < KEPT_AT_ONCE

        def write(connection: Connection) -> ErasureRow:
            connection.execute("PRAGMA secure_delete = ON")
            for quarantine_id, body, frame in changed:
                # Two that differ in nothing but what was erased, or in how it was spelled.
                connection.execute(
                    "DELETE FROM quarantine WHERE body_digest = ? AND quarantine_id <> ?",
                    (digest(body), quarantine_id),
                )
                connection.execute(
                    "UPDATE quarantine SET frame = ?, body_bytes = ?, body_digest = ?"
                    " WHERE quarantine_id = ?",
                    (frame, len(body), digest(body), quarantine_id),
                )
            if is_last:
                counts.schedules += _erase_from_schedules(connection, eraser)
            moved = row.moved(Progress("") if is_last else Progress("kept", [found[-1][0]]), counts)
            if moved.at.step:
                _save(connection, moved)
            reach("erasure before commit")
            return moved

        return await self._thread.run(self._writer.transact, write)

    # ------------------------------------------------------------------- runs

    async def _step_keys(self, row: ErasureRow) -> ErasureRow:
        """Keys first: by them bodies are looked up, until these are gone."""
        before = row.at.before

        def drop(connection: Connection) -> ErasureRow:
            run_no = _run_no(connection, row)
            if row.kind == EXPIRY and not row.at.after and _has_since(connection, run_no, before):
                return row.moved(Progress(SKIPPED))
            self._writer.forget_keys(run_no, before)
            dropped = 0
            for table in ("callback_keys", "conflicts"):
                dropped += connection.execute(
                    f"DELETE FROM {table} WHERE run_no = ?1 AND callback_key IN (SELECT"
                    f" callback_key FROM {table} WHERE run_no = ?1 AND seq < ?2 LIMIT ?3)"
                    " AND seq < ?2",
                    (run_no, before, KEYS_AT_ONCE),
                ).rowcount
            if dropped:
                done = int(row.at.after[0]) if row.at.after else 0
                return row.moved(Progress("keys", [done + dropped], before))
            connection.execute("UPDATE runs SET duplicates = 0 WHERE run_no = ?", (run_no,))
            moved = row.moved(Progress("segments", before=before))
            _save(connection, moved)
            return moved

        return await self._thread.run(self._writer.transact, drop)

    async def _step_segments(self, row: ErasureRow) -> ErasureRow:
        """The next segments of the run."""
        before, counts = row.at.before, row.counted

        def drop(connection: Connection) -> ErasureRow:
            run_no = _run_no(connection, row)
            self._writer.forget_keys(run_no, before)  # a start has read them from here
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(
                "UPDATE log_state SET next_seq = max(next_seq, ?)", (self._writer.next_seq,)
            )
            dropped = connection.execute(
                "DELETE FROM segments WHERE first_seq IN (SELECT first_seq FROM segments"
                " INDEXED BY segments_by_run WHERE run_no = ? AND first_seq < ? LIMIT ?)"
                " RETURNING callbacks",
                (run_no, before, DROPPED_AT_ONCE),
            ).fetchall()
            counts.callbacks += sum(callbacks for (callbacks,) in dropped)
            counts.runs = int(bool(counts.callbacks))
            connection.execute(_REWORK, (run_no,))
            is_last = len(dropped) < DROPPED_AT_ONCE
            moved = row.moved(Progress("" if is_last else "segments", before=before), counts)
            if moved.at.step:
                _save(connection, moved)
            reach("erasure before commit")
            return moved

        return await self._thread.run(self._writer.transact, drop)

    # ------------------------------------------------------------------- both

    async def _step_derived(self, row: ErasureRow) -> ErasureRow:
        """Wait until the worker has derived anew what changed."""
        wanted = row.at.before
        if not wanted:
            wanted = await self._thread.run(
                self._writer.transact, lambda connection: _want_scrub(connection, row)
            )
        reworked_no, scrubbed_no = await self._reader.derived_anew()
        is_done = reworked_no >= wanted and (row.kind == EXPIRY or scrubbed_no >= wanted)
        return row.moved(Progress("" if is_done else "derived", before=wanted))

    async def _step_scrub(self, row: ErasureRow) -> ErasureRow:
        """Leave no trace in the files that this process writes."""
        is_done = await self._sqlite_outbox.scrub() and await self._thread.run(
            self._writer.truncate
        )
        return row.moved(Progress("")) if is_done else row


def _save(connection: Connection, row: ErasureRow) -> None:
    connection.execute(
        "UPDATE erasures SET progress = ?, counts = ?, finished_ms = ? WHERE erasure_id = ?",
        (row.progress, row.counts, row.finished_ms, row.erasure_id),
    )


def _run_no(connection: Connection, row: ErasureRow) -> int:
    found = connection.execute(
        "SELECT run_no FROM runs WHERE run_uid = ?", (row.run_uid,)
    ).fetchone()
    return int(found[0]) if found else 0


def _has_since(connection: Connection, run_no: int, seq: int) -> bool:
    """Whether something came of a run since it was to expire."""
    return bool(
        connection.execute(
            "SELECT 1 FROM segments INDEXED BY segments_by_run"
            " WHERE run_no = ? AND first_seq >= ? LIMIT 1",
            (run_no, seq),
        ).fetchall()
    )


def _want_scrub(connection: Connection, row: ErasureRow) -> int:
    last = _last_rework(connection)
    if row.kind != EXPIRY:
        connection.execute("UPDATE log_state SET scrub_no = ?", (last,))
    return last


def _last_rework(connection: Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(max(rework_no), 0) FROM reworked").fetchone()
    return int(last)


def _erase_from_schedules(connection: Connection, eraser: Eraser) -> int:
    changed = 0
    for uid, *texts in connection.execute(
        "SELECT schedule_uid, record, phases FROM schedules"
    ).fetchall():
        without = [eraser.record(text) for text in texts]
        if without != [None, None]:
            record, phases = (new or old for new, old in zip(without, texts, strict=True))
            connection.execute(
                "UPDATE schedules SET record = ?, phases = ? WHERE schedule_uid = ?",
                (record, phases, uid),
            )
            changed += 1
    return changed
