"""Copying one store into another: its log in portions, each with the progress it makes.

A source numbers callbacks over all of its runs, a target each run's from 1; so callbacks
are taken in the source's order, and numbered anew. A portion is one transaction of the
target. Cut off at any moment, a copy goes on behind the last portion; a source that has
grown since is a copy that was cut off. What is kept beside callbacks is replaced in the end.

What the source has told is not told again: the target raises no events of callbacks before
the source's `announced_seq`. Later ones are news to the target, and raise them there.

Erasures come along, tombstones and records in one. A copy that was cut off does not go on if
the source has erased something since: what was copied before may hold it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from app.canonical import digest, dumps
from app.crash_points import reach
from app.model import Logged
from app.store.api_keys import ApiKeyRow
from app.store.erasures import ErasureRow
from app.store.kept_outbox import KeptOutbox
from app.store.protocol import StoreError
from app.store.rows import Claim

if TYPE_CHECKING:
    from app.store.postgres.target import PostgresTarget
    from app.store.sqlite.source import SqliteSource

PORTION_CALLBACKS = 4_000
PORTION_BYTES = 8 * 1024 * 1024
"""Of bodies: what is held in memory, unless one alone is larger."""


class CopyRefusedError(StoreError):
    """The target is not one to copy this source to."""


class DamagedError(StoreError):
    """What a store holds cannot be read back."""


class KeptBody(NamedTuple):
    """An entry of the quarantine, as stores keep it: the frame is the body, compressed."""

    quarantine_id: str
    body_digest: bytes
    received_ms: int
    last_received_ms: int
    times_seen: int
    reason: str
    detail: str
    content_type: str
    body_bytes: int
    frame: bytes


class KeptSchedule(NamedTuple):
    """What Edges said of a schedule, as stores keep it; see `app.store.views.ScheduleView`."""

    schedule_uid: str
    status: str
    action_name: str | None
    record: str
    phases: str
    first_seen_ms: int
    told_ms: int
    judged_ms: int


class MissedIteration(NamedTuple):
    """An iteration of a schedule that was noted as missed."""

    schedule_uid: str
    due_ms: int
    noted_ms: int


class Unlogged(NamedTuple):
    """What a store keeps beside its callbacks; in each part by its key."""

    quarantine: Iterable[KeptBody]
    schedules: Iterable[KeptSchedule]
    missed_iterations: Iterable[MissedIteration]
    outbox: KeptOutbox
    erasures: Sequence[ErasureRow]
    erasure_key: str | None
    """Sealed, as everywhere."""
    api_keys: Sequence[ApiKeyRow]


class Repeats(NamedTuple):
    """What of a run came again."""

    duplicates: int
    is_respelled: bool
    """Whether any did with other bytes."""


class Derived(NamedTuple):
    """What is derived of a run, as far as two stores can be compared by it."""

    results: int
    inputs: int


class Indexed(NamedTuple):
    """How many keys and conflicts a store has indexed of a run, and the sums of their seqs."""

    keys: int
    keys_sum: int
    conflicts: int
    conflicts_sum: int


class Held(NamedTuple):
    """What of a log a database holds, in numbers."""

    callbacks: int
    duplicates: int
    quarantined: int
    times_seen: int
    """Of all that is in quarantine."""
    schedules: int = 0
    missed_iterations: int = 0
    endpoints: int = 0
    endpoint_versions: int = 0
    """Of all endpoints together: changed ones are others."""
    events: int = 0
    deliveries: int = 0
    attempts: int = 0
    sinks: int = 0
    sink_versions: int = 0
    """As those of endpoints."""


class Copied(NamedTuple):
    """How far a copy is."""

    next_seq: int
    """The first seq of the source that was not copied."""
    last_digest: bytes
    """`identity` of the callback before it; empty if there is none."""
    held: Held
    """What the copy has put into the target."""
    announced_seq: int = 1
    """Before it the source's events are told; of callbacks that were copied the target knows."""
    erased: bytes = b""
    """What the source had erased when the copy was begun; see `erased`."""


def identity(logged: Logged) -> bytes:
    """16 bytes that no two callbacks of any two logs share, unless one is a copy of the other."""
    head = dumps([logged.seq, logged.run.uid, logged.key, logged.received_ms])
    return digest(head + logged.body)


def erased(rows: Sequence[ErasureRow]) -> bytes:
    """A digest of what these erasures have taken away, or may have; empty if there are none."""
    told = [(row.erasure_id, row.finished_ms) for row in rows]
    return digest(dumps(told)) if told else b""


def copy_log(
    source: "SqliteSource", target: "PostgresTarget", on_progress: Callable[[int, int], None]
) -> int:
    """Copy what the target does not have yet; the number of callbacks copied now.

    `on_progress` hears (callbacks in the target, callbacks in all). Raises CopyRefusedError
    if the target holds anything that did not come from this source, and other StoreErrors.
    """
    copied = target.copied()
    _refuse_other_source(source, copied)
    target.refuse_foreign()
    told_seq = min(source.announced_seq, copied.next_seq)
    if copied.announced_seq < told_seq:
        target.announce_late(source.announced(copied.announced_seq, told_seq), told_seq)
    next_seq, done = copied.next_seq, copied.held.callbacks
    total = done + source.size() + 1 - next_seq
    on_progress(done, total)
    while True:
        callbacks, after = source.read(
            Claim(None, next_seq), callbacks_max=PORTION_CALLBACKS, bytes_max=PORTION_BYTES
        )
        if not callbacks:
            break
        target.take(
            callbacks,
            from_seq=next_seq,
            next_seq=after,
            announced_seq=source.announced_seq,
            erased=erased(source.erasures()),
        )
        reach("copy after commit")
        next_seq, done = after, done + len(callbacks)
        on_progress(done, max(done, total))
    target.settle(source.runs(), source.unlogged())
    return done - copied.held.callbacks


def _refuse_other_source(source: "SqliteSource", copied: Copied) -> None:
    if copied.next_seq == 1:
        return
    last = source.callback_at(copied.next_seq - 1)
    if last is None or identity(last) != copied.last_digest:
        raise CopyRefusedError(
            f"the target holds a copy of another source: its callback {copied.next_seq - 1} is not"
            " what this source has there. Give the source that the copy was begun with, or an"
            " empty database or schema"
        )
    if erased(source.erasures()) != copied.erased:
        raise CopyRefusedError(
            "the source has erased something since this copy was begun, which may be in what was"
            " copied before: copy into an empty database or schema, and drop this one"
        )
