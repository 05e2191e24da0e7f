"""A PostgreSQL database as a copy writes it: in portions, each with its progress."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from app.canonical import digest
from app.crash_points import reach
from app.erased import content_digest
from app.model import Logged, RunId
from app.store import segments
from app.store.api_keys import COLUMNS as KEY_COLUMNS
from app.store.copying import (
    Copied,
    CopyRefusedError,
    DamagedError,
    Held,
    KeptBody,
    KeptSchedule,
    MissedIteration,
    Repeats,
    Unlogged,
    identity,
)
from app.store.erasures import COLUMNS, Progress
from app.store.postgres.driver import BlockingConnection
from app.store.postgres.erasures import PostgresErasures
from app.store.postgres.migrations import migrate_database
from app.store.postgres.outbox_target import LOCKED_TABLES, PostgresOutboxTarget
from app.store.postgres.paging import paged
from app.store.postgres.read_back import PostgresReadBack

_KEPT_COLUMNS = ", ".join(KeptBody._fields)

_ADVANCE = """
    UPDATE copies SET next_seq = $2, last_digest = $3, callbacks = callbacks + $4,
        announced_seq = greatest(announced_seq, $5), erased = $6
    WHERE next_seq = $1
"""
_RESERVE = """
    INSERT INTO log_runs AS l (run_uid, next_seq, duplicates, is_dirty)
    SELECT run_uid, 1 + callbacks, 0, true
    FROM unnest($1::text[], $2::bigint[]) AS r (run_uid, callbacks) ORDER BY run_uid
    ON CONFLICT (run_uid) DO UPDATE SET
        next_seq = l.next_seq + excluded.next_seq - 1, is_dirty = true
    RETURNING run_uid, next_seq
"""
_FIRST_SEQS = """
    SELECT callback_key, seq FROM callback_keys
    WHERE run_uid = $1 AND callback_key = ANY($2::text[])
"""
_SET_REPEATS = """
    UPDATE log_runs l SET (duplicates, respelled) = (u.duplicates, u.respelled)
    FROM unnest($1::text[], $2::bigint[], $3::boolean[]) AS u (run_uid, duplicates, respelled)
    WHERE l.run_uid = u.run_uid AND (l.duplicates, l.respelled) <> (u.duplicates, u.respelled)
"""
_HELD = """
    SELECT coalesce(sum(next_seq - 1), 0)::bigint, coalesce(sum(duplicates), 0)::bigint,
        (SELECT count(*) FROM quarantine),
        (SELECT coalesce(sum(times_seen), 0)::bigint FROM quarantine),
        (SELECT count(*) FROM schedules),
        (SELECT count(*) FROM missed_iterations),
        (SELECT count(*) FROM endpoints),
        (SELECT coalesce(sum(version), 0)::bigint FROM endpoints),
        (SELECT count(*) FROM events),
        (SELECT count(*) FROM deliveries),
        (SELECT count(*) FROM attempts),
        (SELECT count(*) FROM sinks),
        (SELECT coalesce(sum(version), 0)::bigint FROM sinks)
    FROM log_runs
"""
# Keys that were made here stay, and what was revoked here stays revoked.
_ADD_KEY = f"""
    INSERT INTO api_keys AS k ({KEY_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (key_id) DO UPDATE SET
        last_used_ms = greatest(k.last_used_ms, excluded.last_used_ms),
        revoked_ms = least(k.revoked_ms, excluded.revoked_ms)
"""


@dataclass(slots=True)
class _Rows:
    """A portion as the tables of the log take it."""

    keys: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    conflicts: list[tuple[str, str, bytes, int]] = field(default_factory=list)
    places: list[tuple[str, int, int, list[int], int]] = field(default_factory=list)
    """Of each segment all but its frame."""
    portions: list[Sequence[segments.Entry]] = field(default_factory=list)
    """What is to be packed into the frame of each."""


class PostgresTarget(PostgresReadBack):
    """Writes a copy, and can read it back, over one connection."""

    def __init__(self, url: str) -> None:
        super().__init__(BlockingConnection(url))
        self.outbox = PostgresOutboxTarget(self._connection)
        address = urlsplit(url)
        self.description = f"postgresql://{address.netloc.rpartition('@')[2]}{address.path}"
        """Where it is, without user and password."""
        self._compressor = segments.compressor()

    @classmethod
    @contextmanager
    def opened(cls, url: str) -> Iterator[Self]:
        """The target, with its tables made or migrated. Raises StoreError."""
        try:
            asyncio.run(migrate_database(url))
        except ValueError:  # what it says may be part of a password
            raise CopyRefusedError(
                "the target is no address of a PostgreSQL database that can be read: give"
                " postgresql://USER@HOST:PORT/DATABASE, a password with %-escapes in it"
            ) from None
        target = cls(url)
        try:
            yield target
        finally:
            target._connection.close()

    def copied(self) -> Copied:
        """How far the copy into this database is."""
        rows = self._connection.fetch(
            "SELECT next_seq, last_digest, announced_seq, erased,"
            f" {', '.join(Held._fields)} FROM copies"
        )
        for next_seq, last_digest, announced_seq, erased, *held in rows:
            return Copied(next_seq, last_digest, Held(*held), announced_seq, erased)
        return Copied(1, b"", Held(0, 0, 0, 0))

    def refuse_foreign(self) -> None:
        """Raises CopyRefusedError if here is more, or less, than was copied."""
        copied, held = self.copied().held, Held(*self._connection.fetch(_HELD)[0])
        if held == copied:
            return
        names = (
            "callbacks",
            "duplicates",
            "quarantined bodies",
            "receipts of those bodies",
            "schedules",
            "missed iterations",
            "endpoints",
            "versions of endpoints",
            "events",
            "deliveries",
            "attempts to deliver",
            "sinks",
            "versions of sinks",
        )
        found = ", ".join(
            f"{here:,} {name} instead of {brought:,}"
            for name, here, brought in zip(names, held, copied, strict=True)
            if here != brought
        )
        raise CopyRefusedError(
            f"{self.description} holds what this copy did not bring: {found}. It is the database"
            " of another collector, or one has served from it since; give an empty database, or"
            " an empty schema by ?search_path=NAME"
        )

    # --------------------------------------------------------------- writing

    def take(
        self,
        callbacks: Sequence[Logged],
        *,
        from_seq: int,
        next_seq: int,
        announced_seq: int,
        erased: bytes,
    ) -> None:
        """Log `callbacks`, and that the source is copied up to `next_seq`, in one transaction.

        Those before `announced_seq` of the source raise no events when they are projected.
        `erased` says what the source has erased, see `app.store.copying.erased`.
        Raises CopyRefusedError if the copy is not at `from_seq`: another one is at work.
        """
        by_run: dict[str, list[Logged]] = {}
        for logged in callbacks:
            by_run.setdefault(logged.run.uid, []).append(logged)
        with self._connection.transaction():
            last_digest = identity(callbacks[-1])
            self._advance(
                from_seq, next_seq, last_digest, len(callbacks), announced_seq, erased=erased
            )
            first_seqs = self._reserve({uid: len(of_run) for uid, of_run in by_run.items()})
            told = {uid: sum(o.seq < announced_seq for o in of) for uid, of in by_run.items()}
            self.outbox.announce({uid: first_seqs[uid] + n for uid, n in told.items() if n})
            rows = _Rows()
            for uid, of_run in by_run.items():
                self._number(uid, first_seqs[uid], of_run, rows)
            self._write(rows)
            reach("copy before commit")

    def _advance(
        self,
        from_seq: int,
        next_seq: int,
        last_digest: bytes,
        callbacks: int,
        announced_seq: int,
        *,
        erased: bytes,
    ) -> None:
        if from_seq == 1:
            self._connection.execute("INSERT INTO copies DEFAULT VALUES ON CONFLICT DO NOTHING")
        moved = self._connection.execute(
            _ADVANCE, from_seq, next_seq, last_digest, callbacks, announced_seq, erased
        )
        if moved == "UPDATE 0":
            raise CopyRefusedError(
                f"another copy into {self.description} is at work: let it finish, or end it"
            )

    def _reserve(self, counts: Mapping[str, int]) -> dict[str, int]:
        """The seqs from which on each run takes so many callbacks."""
        rows = self._connection.fetch(_RESERVE, list(counts), list(counts.values()))
        return {run_uid: next_seq - counts[run_uid] for run_uid, next_seq in rows}

    def _number(
        self, run_uid: str, first_seq: int, callbacks: Sequence[Logged], rows: _Rows
    ) -> None:
        """Add the rows of one run, whose callbacks are numbered from `first_seq` on."""
        numbered = list(enumerate(callbacks, first_seq))
        firsts = {one.key: seq for seq, one in numbered if one.conflicts_with is None}
        rows.keys += [
            (run_uid, one.key, seq, digest(one.body))
            for seq, one in numbered
            if one.conflicts_with is None
        ]
        conflicts = [(seq, one) for seq, one in numbered if one.conflicts_with is not None]
        if conflicts:
            earlier = [one.key for _, one in conflicts if one.key not in firsts]
            firsts |= dict(self._connection.fetch(_FIRST_SEQS, run_uid, earlier))
            if unknown := {one.key for _, one in conflicts} - set(firsts):
                raise DamagedError(
                    f"run {run_uid} has conflicts with callbacks that the target does not know:"
                    f" {sorted(unknown)[:3]}. Drop the tables of the target, and copy again"
                )
        rows.conflicts += [
            (run_uid, one.key, content_digest(one.body), seq) for seq, one in conflicts
        ]
        entries = [
            segments.Entry(
                one.key,
                one.received_ms,
                one.body,
                None if one.conflicts_with is None else firsts[one.key],
                one.source,
            )
            for one in callbacks
        ]
        for portion in segments.split(entries):
            rows.portions.append(portion)
            rows.places.append((run_uid, first_seq, len(portion), [], portion[0].received_ms))
            first_seq += len(portion)

    def _write(self, rows: _Rows) -> None:
        frames = segments.pack(rows.portions, self._compressor)
        self._connection.copy(
            "segments",
            "run_uid, first_seq, callbacks, repeats, received_ms, frame",
            [(*place, frame) for place, frame in zip(rows.places, frames, strict=True)],
        )
        # In the order of the index: each of its pages is then written once.
        self._connection.copy(
            "callback_keys", "run_uid, callback_key, seq, body_digest", sorted(rows.keys)
        )
        self._connection.copy(
            "conflicts", "run_uid, callback_key, body_digest, seq", rows.conflicts
        )

    def announce_late(self, announced: Iterable[tuple[str, int]], announced_seq: int) -> None:
        """Note what the source has told since of callbacks that are here already.

        `announced`: by run up to which of them, numbered as here. `announced_seq`: the same
        over all runs, numbered as in the source. Cut off, it may be done again.
        """
        for page in paged(announced, lambda _: 0):
            with self._connection.transaction():
                self.outbox.announce_late(dict(page))
        reach("copy before announced")
        self._connection.execute("UPDATE copies SET announced_seq = $1", announced_seq)

    def settle(self, repeats: Iterable[tuple[RunId, Repeats]], unlogged: Unlogged) -> None:
        """Make what is noted of repeats, and what is kept beside callbacks, the source's.

        In one transaction. Raises CopyRefusedError as `refuse_foreign` does.
        """
        with self._connection.transaction():
            # Nobody adds to what is replaced here.
            self._connection.execute(
                "LOCK TABLE log_runs, quarantine, schedules, missed_iterations, erasures,"
                f" {LOCKED_TABLES} IN SHARE ROW EXCLUSIVE MODE"
            )
            self.refuse_foreign()
            self._connection.execute("INSERT INTO copies DEFAULT VALUES ON CONFLICT DO NOTHING")
            for page in paged(repeats, lambda _: 0):
                self._connection.execute(
                    _SET_REPEATS,
                    [run.uid for run, _ in page],
                    [of_run.duplicates for _, of_run in page],
                    [of_run.is_respelled for _, of_run in page],
                )
            for table in ("quarantine", "schedules", "missed_iterations"):
                self._connection.execute(f"DELETE FROM {table}")
            for kept in paged(map(self.storable, unlogged.quarantine), lambda one: len(one.frame)):
                self._connection.copy("quarantine", _KEPT_COLUMNS, kept)
            for told in paged(unlogged.schedules, lambda one: len(one.record)):
                self._connection.copy("schedules", ", ".join(KeptSchedule._fields), told)
            for missed in paged(unlogged.missed_iterations, lambda _: 0):
                self._connection.copy(
                    "missed_iterations", ", ".join(MissedIteration._fields), missed
                )
            self.outbox.replace(unlogged.outbox)
            self._replace_erasures(unlogged)
            for row in unlogged.api_keys:
                self._connection.execute(_ADD_KEY, *row)
            settled = ", ".join(Held._fields[1:])
            self._connection.execute(
                f"UPDATE copies SET ({settled}) = (SELECT {settled}"
                f" FROM ({_HELD}) AS h ({', '.join(Held._fields)}))"
            )
            reach("copy before settled")

    def _replace_erasures(self, unlogged: Unlogged) -> None:
        """What is not finished in the source begins anew here, and is finished here."""
        known = [row.erasure_id for row in unlogged.erasures]
        if self._connection.fetch(
            "SELECT 1 FROM erasures WHERE erasure_id <> ALL($1::text[]) LIMIT 1", known
        ):
            raise CopyRefusedError(
                f"{self.description} has erased what this source has not: it is the database of"
                " another collector, or one has served from it since"
            )
        rows = [
            row
            if row.finished_ms is not None
            else row.moved(Progress(PostgresErasures.steps[row.kind][0]))
            for row in unlogged.erasures
        ]
        self._connection.execute("DELETE FROM erasures")
        self._connection.copy("erasures", COLUMNS, rows)
        self._connection.execute(
            "INSERT INTO erasure_state AS s (state_no, version, erasure_key) VALUES (1, 1, $1)"
            " ON CONFLICT (state_no) DO UPDATE SET version = s.version + 1, erasure_key = $1",
            unlogged.erasure_key,
        )

    @staticmethod
    def storable(entry: KeptBody) -> KeptBody:
        """An entry of the quarantine as it is kept here: text cannot hold a NUL."""
        detail, content_type = (
            text.replace("\0", "\N{REPLACEMENT CHARACTER}")
            for text in (entry.detail, entry.content_type)
        )
        return entry._replace(detail=detail, content_type=content_type)
