"""Comparing a copy with its source: every body, run by run, and what was derived of it."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import zstandard

from app.canonical import dumps
from app.model import Logged, RunId
from app.store.api_keys import ApiKeyRow
from app.store.copying import DamagedError, Indexed, KeptBody
from app.store.erasures import ErasureRow
from app.store.kept_outbox import TABLES

if TYPE_CHECKING:
    from app.store.postgres.target import PostgresTarget
    from app.store.sqlite.source import SqliteSource

DIFFERENCES_MAX = 20
"""As many as a person reads; there may be some for each run."""

_PROGRESS_CALLBACKS = 500


@dataclass(slots=True)
class Verdict:
    """What the source has, and where the target differs."""

    runs: int = 0
    callbacks: int = 0
    conflicts: int = 0
    duplicates: int = 0
    quarantined: int = 0
    schedules: int = 0
    endpoints: int = 0
    events: int = 0
    deliveries: int = 0
    pending_deliveries: int = 0
    sinks: int = 0
    api_keys: int = 0
    differences: list[str] = field(default_factory=list)
    """A sentence each, the first `DIFFERENCES_MAX`."""
    differences_left_out: int = 0
    notes: list[str] = field(default_factory=list)
    """What could not be compared, and why."""

    def differs(self, what: str, source: object, target: object) -> None:
        """Note it if they are not the same."""
        if source == target:
            return
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(f"{what}: {source} in the source, {target} in the target")
        else:
            self.differences_left_out += 1


class _Tally(NamedTuple):
    """A run's log in a few figures."""

    callbacks: int = 0
    conflicts: int = 0
    digest: str = ""
    """Over key, time and body of each callback in order, and what it conflicts with."""
    indexed: Indexed = Indexed(0, 0, 0, 0)
    """What the indexes must say of it."""
    damage: str = "none"


def verify_log(
    source: "SqliteSource", target: "PostgresTarget", on_progress: Callable[[int, int], None]
) -> Verdict:
    """Read both logs, and what is kept beside them, from end to end, and compare.

    `on_progress` hears (callbacks compared, callbacks in all). What is damaged is a
    difference. Raises StoreError if the source or the target cannot be read at all.
    """
    verdict = Verdict()
    total = source.size()
    with ThreadPoolExecutor(1, "source") as beside:
        for run, repeats in source.runs():
            done = verdict.callbacks
            theirs = beside.submit(_tally, source.callbacks_of(run), source.callback, run, _silent)
            ours = _tally(
                target.callbacks_of(run.uid),
                target.callback,
                run,
                lambda count, done=done: on_progress(done + count, total),  # type: ignore[misc]
            )
            _compare(verdict, run, theirs.result(), ours, target.indexed(run.uid))
            again, named = target.repeats_of(run.uid), f"run {run.uid}: duplicates"
            verdict.differs(named, repeats.duplicates, again.duplicates)
            verdict.differs(f"{named} in other bytes", repeats.is_respelled, again.is_respelled)
            verdict.duplicates += repeats.duplicates
    on_progress(verdict.callbacks, verdict.callbacks)
    verdict.differs("number of runs", source.run_count(), target.run_count())
    kept, copied = (
        _of_quarantine(map(target.storable, source.quarantine())),
        _of_quarantine(target.quarantine()),
    )
    verdict.quarantined = kept[0]
    verdict.differs("quarantine: entries", kept[0], copied[0])
    verdict.differs("quarantine: digest of all entries", kept[1], copied[1])
    verdict.schedules, told = _of_rows(source.schedules())
    verdict.differs(
        "what Edges said of schedules", (verdict.schedules, told), _of_rows(target.schedules())
    )
    verdict.differs(
        "missed iterations of schedules",
        _of_rows(source.missed_iterations()),
        _of_rows(target.missed_iterations()),
    )
    verdict.differs("erasures", _asked(source.erasures()), _asked(target.erasures()))
    _compare_keys(verdict, source.api_keys(), target.api_keys())
    _compare_outboxes(verdict, source, target)
    return verdict


def _compare_keys(
    verdict: Verdict, source: Sequence[ApiKeyRow], target: Sequence[ApiKeyRow]
) -> None:
    """Those of the source; the target may have others, and may have revoked them since."""
    copied = {row.key_id: row for row in target}
    verdict.api_keys = len(source)
    for row in source:
        found = copied.get(row.key_id)
        verdict.differs(f"API key {row.key_id}", _of_key(row), found and _of_key(found))
        if row.revoked_ms is not None and found is not None:
            verdict.differs(f"API key {row.key_id}: revoked", True, found.revoked_ms is not None)


def _of_key(row: ApiKeyRow) -> tuple[object, ...]:
    return (row.name, row.scopes, row.digest.hex(), row.hint, row.created_ms, row.expires_ms)


def _asked(rows: Iterable[ErasureRow]) -> tuple[int, str]:
    """Erasures in what was asked for; how far they are is each database's own."""
    return _of_rows((*row[:7], row.lifted_by, row.lifted_ms) for row in rows)


def _compare_outboxes(verdict: Verdict, source: "SqliteSource", target: "PostgresTarget") -> None:
    counts = []
    for table in TABLES:
        theirs = _of_rows(map(target.outbox.storable, source.outbox.rows(table)))
        ours = _of_rows(target.outbox.rows(table))
        verdict.differs(f"{table.name}: number", theirs[0], ours[0])
        verdict.differs(f"{table.name}: digest of all", theirs[1], ours[1])
        counts.append(theirs[0])
    verdict.endpoints, verdict.events, verdict.deliveries, _, verdict.sinks, _ = counts
    verdict.pending_deliveries = source.outbox.pending()
    kept = source.outbox.kept()
    verdict.differs("number of the next event", kept.next_event_no, target.outbox.next_event_no())
    verdict.differs(
        "events that are to be told",
        _of_rows(map(target.outbox.storable, kept.waiting)),
        _of_rows(target.outbox.waiting()),
    )


def verify_derived(verdict: Verdict, source: "SqliteSource", target: "PostgresTarget") -> None:
    """Compare what is derived of each run; the target is projected to its end."""
    if not source.is_projected():
        verdict.notes.append(
            "results were not compared, since the source is not projected to its end"
        )
        return
    for run, _ in source.runs():
        ours, theirs = target.derived(run.uid), source.derived(run)
        verdict.differs(
            f"run {run.uid}: results and inputs (found by COLLECTOR_RESULT_KEYS)",
            theirs and tuple(theirs),
            ours and tuple(ours),
        )


def _compare(
    verdict: Verdict, run: RunId, source: _Tally, target: _Tally, indexed: Indexed
) -> None:
    verdict.runs += 1
    verdict.callbacks += source.callbacks
    verdict.conflicts += source.conflicts
    where = f"run {run.uid}"
    verdict.differs(f"{where}: callbacks", source.callbacks, target.callbacks)
    verdict.differs(f"{where}: conflicts", source.conflicts, target.conflicts)
    verdict.differs(f"{where}: digest of all callbacks", source.digest, target.digest)
    verdict.differs(f"{where}: damage", source.damage, target.damage)
    if target.indexed != indexed:
        verdict.differs(
            f"{where}: keys and conflicts with the sums of their seqs",
            f"{tuple(target.indexed)} by the target's log, which is the source's",
            f"{tuple(indexed)} in its tables callback_keys and conflicts",
        )


def _tally(
    callbacks: Iterable[Logged],
    callback_at: Callable[[RunId, int], Logged],
    run: RunId,
    on_progress: Callable[[int], None],
) -> _Tally:
    running = hashlib.sha256()
    count = conflicts = keys_sum = conflicts_sum = 0
    damage = "none"
    try:
        for count, logged in enumerate(callbacks, 1):
            _feed(running, logged)
            if logged.conflicts_with is None:
                keys_sum += logged.seq
            else:
                conflicts, conflicts_sum = conflicts + 1, conflicts_sum + logged.seq
                running.update(b"conflicts with ")
                _feed(running, callback_at(run, logged.conflicts_with))
            if count % _PROGRESS_CALLBACKS == 0:
                on_progress(count)
    except (DamagedError, LookupError) as error:
        damage = str(error)
    indexed = Indexed(count - conflicts, keys_sum, conflicts, conflicts_sum)
    return _Tally(count, conflicts, running.hexdigest()[:32], indexed, damage)


def _feed(running: "hashlib._Hash", logged: Logged) -> None:
    running.update(dumps([logged.key, logged.received_ms, len(logged.body), logged.source]))
    running.update(logged.body)


def _of_quarantine(entries: Iterable[KeptBody]) -> tuple[int, str]:
    """How many entries, and a digest over all of each, the body as it was received."""
    running = hashlib.sha256()
    count = 0
    for entry in entries:
        count += 1
        try:
            body = zstandard.decompress(entry.frame)
        except zstandard.ZstdError as error:
            body = f"damaged: {error}".encode() + entry.frame
        running.update(dumps([*entry[:1], entry.body_digest.hex(), *entry[2:-1], len(body)]))
        running.update(body)
    return count, running.hexdigest()[:32]


def _of_rows(rows: Iterable[tuple[Any, ...]]) -> tuple[int, str]:
    """How many rows, and a digest over all of them."""
    running = hashlib.sha256()
    count = 0
    for row in rows:
        count += 1
        running.update(dumps([*row]) + b"\n")
    return count, running.hexdigest()[:32]


def _silent(_: int) -> None:
    """Of two that are read at once, one tells of its progress."""
