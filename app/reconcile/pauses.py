"""When a run is to be reconciled next: a pure decision from what is known of it.

Pauses grow with the time in which nothing has changed, so that they need no memory.
"""

from app.model import TERMINAL_STATUSES, Completeness, Source, read_time_ms
from app.proof import proving_walk, settled_since
from app.reconcile.steps import SETTLE_MS
from app.store.views import RunView
from app.told import Reading, Told

_SECOND_MS = 1_000
_DAY_MS = 24 * 3_600 * _SECOND_MS

RETENTION_MS = 90 * _DAY_MS
"""After which Edges has archived a run."""

WARNING_MS = 80 * _DAY_MS
"""The age from which it is warned of a run that is not whole."""

OPEN_PAUSE_MAX_MS = 3_600 * _SECOND_MS
INCOMPLETE_PAUSE_MS = (30 * _SECOND_MS, _DAY_MS)
"""Shortest and longest pause before a run is asked about again that is not whole."""


def due_ms(run: RunView, silence_ms: int) -> int | None:
    """When to reconcile a run next, as Unix time in milliseconds; None for never.

    `silence_ms`: how long no callback must have come before a run that goes on is asked about.
    """
    told = run.told
    asked_ms = told.latest("reconcile") if told else 0
    last = told.last if told else None
    # A run that is gone never gets another reading, so this is the answer to who asked before.
    if told is not None and told.is_gone:
        return None
    if asked_ms and (last is None or last.told_ms < asked_ms):
        return asked_ms
    due: int | None = _open_due_ms(run, last, silence_ms)
    if told is not None and last is not None and last.status in TERMINAL_STATUSES:
        due = _settled_due_ms(run, told, last)
    return None if due is None or due > began_ms(run) + RETENTION_MS else due


def began_ms(run: RunView) -> int:
    """When Edges made the run, or when we first heard of it."""
    facts = run.told.facts if run.told else {}
    return read_time_ms(facts.get("created_at")) or run.first_received_ms


def _open_due_ms(run: RunView, last: Reading | None, silence_ms: int) -> int:
    """Of a run that goes on: once it is silent, or a callback says that it has ended."""
    quiet_ms = run.last_received_ms + silence_ms
    told_ms = last.told_ms if last else 0
    if run.terminal_ms > told_ms:
        # It may speak of an input: the longer a run lasts, the less often it is asked for that.
        pause_ms = (told_ms - run.first_received_ms) // 10 if told_ms else 0
        pause_ms = min(max(pause_ms, SETTLE_MS), silence_ms)
        return min(quiet_ms, max(run.terminal_ms + SETTLE_MS // 2, told_ms + pause_ms))
    pause_ms = (told_ms - run.last_received_ms) // 2
    pause_ms = min(max(pause_ms, silence_ms), OPEN_PAUSE_MAX_MS)
    return max(quiet_ms, told_ms + pause_ms if told_ms else 0)


def _settled_due_ms(run: RunView, told: Told, last: Reading) -> int | None:
    """Of a run that has ended: until it is whole, with growing pauses."""
    if run.completeness == Completeness.COMPLETE:
        return None
    since_ms = settled_since(told) or last.told_ms
    is_cut_off = any(
        walk.began_ms >= since_ms and not walk.is_complete for walk in told.walks.values()
    )
    if is_cut_off or proving_walk(told, Source.INPUTS) is None:
        return last.told_ms + SETTLE_MS
    shortest_ms, longest_ms = INCOMPLETE_PAUSE_MS
    pause_ms = (last.told_ms - since_ms) // 2
    return last.told_ms + min(max(pause_ms, shortest_ms), longest_ms)
