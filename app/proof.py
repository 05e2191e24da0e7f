"""What is proven of a run: pure decisions from what Edges told and what is stored.

A run that is continued begins a new generation. Whether `output_count` (and the list of
outputs) then goes on or begins anew is not documented, so it is decided from the data.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from app.model import TERMINAL_STATUSES, Completeness, Source, run_status
from app.told import Reading, Told, Walk

_REOPENING = frozenset({"continue", "resume"})
_WITHOUT_OUTPUTS = frozenset({"INVALID", "BLOCKED"})


class Proof(NamedTuple):
    """A run's state, and what is missing of it."""

    status: str
    completeness: Completeness
    expected_results: int | None = None
    """What Edges reports over all generations; None if it did not say."""
    missing_results: int = 0
    surplus_results: int = 0
    """Results that are stored beyond what Edges reports."""
    missing_inputs: int = 0
    """Inputs of which no end is known, although the run has come to one."""
    verified_ms: int | None = None
    """When Edges last told what this rests on."""


def generations(told: Told) -> list[list[Reading]]:
    """The readings of a run, by generation; none is empty."""
    found = [[reading] for reading in told.readings[:1]]
    for before, reading in pairwise(told.readings):
        if _begins_anew(before, reading, told):
            found.append([])
        found[-1].append(reading)
    return found


def _begins_anew(before: Reading, after: Reading, told: Told) -> bool:
    """Whether the run was continued between two readings."""
    acts = {act.name for act in told.acts if before.told_ms < act.told_ms <= after.told_ms}
    if "continue" in acts or _dropped(before, after):
        return True
    has_reopened = before.status in TERMINAL_STATUSES and after.status not in TERMINAL_STATUSES
    return has_reopened and "resume" not in acts


def ending(told: Told | None) -> int:
    """How often a run that is at an end has come to one; 1 if only callbacks say so.

    Reopened and ended again is another end, whether it was continued or resumed.
    """
    count = 0
    for before, reading in pairwise([None, *(told.readings if told else ())]):
        if reading is None or reading.status not in TERMINAL_STATUSES:
            continue
        if (
            told is None
            or before is None
            or before.status not in TERMINAL_STATUSES
            or _begins_anew(before, reading, told)
            or any(
                act.name in _REOPENING and before.told_ms < act.told_ms <= reading.told_ms
                for act in told.acts
            )
        ):
            count += 1
    return max(1, count)


def _dropped(before: Reading, after: Reading) -> bool:
    return (after.output_count or 0) < (before.output_count or 0)


def generation_of(walk: Walk, told: Told) -> int:
    """The generation, from 0, that a walk fell into."""
    begun = sum(readings[0].told_ms <= walk.began_ms for readings in generations(told))
    return max(0, begun - 1)


def is_reset(told: Told, results_if_cumulative: int) -> bool:
    """Whether `output_count` begins anew with each generation, as far as the data show it.

    It does if it was seen to fall; or if more is stored than a run that has ended reports,
    where a result that both a callback and `/outputs` showed is one.
    """
    found = generations(told)
    if len(found) < 2:
        return False
    if any(_dropped(earlier[-1], later[0]) for earlier, later in pairwise(found)):
        return True
    last = found[-1][-1]
    return (
        last.status in TERMINAL_STATUSES
        and last.output_count is not None
        and results_if_cumulative > last.output_count
    )


def expected_results(told: Told) -> int | None:
    """How many results Edges reports in all; None if it does not say."""
    last = told.last
    if last is None:
        return None
    count = last.output_count
    if count is None:
        return 0 if last.status in _WITHOUT_OUTPUTS else None
    if not told.is_reset:
        return count
    earlier = generations(told)[:-1]
    return count + sum(max(one.output_count or 0 for one in readings) for readings in earlier)


def settled_since(told: Told) -> int | None:
    """Since when Edges has told the same end of the run; None if it goes on."""
    since = None
    last = told.last
    for reading in reversed(told.readings):
        if last is None or reading.status not in TERMINAL_STATUSES or not _same(reading, last):
            break
        since = reading.told_ms
    return since


def _same(one: Reading, other: Reading) -> bool:
    return (one.status, one.output_count) == (other.status, other.output_count)


def proving_walk(told: Told, kind: Source) -> Walk | None:
    """The latest complete walk over a list that was begun after the run's end was told."""
    since = settled_since(told)
    if since is not None:
        for _, walk in reversed(told.walks_of(kind)):
            if walk.is_complete and walk.began_ms >= since:
                return walk
    return None


class Losses(NamedTuple):
    """What the callback channel owed and did not bring by itself."""

    results: int = 0
    inputs: int = 0


def losses(told: Told | None, results: int) -> Losses:
    """What had to be recovered of a run, or is missing still, `results` coming by callbacks.

    A run that calls back once, at its end, or that has no callback, owes nothing more: it is
    known by callbacks that brought nothing and of which none failed.
    """
    if told is None:
        return Losses()
    brings_nothing = not results and not told.failed_callbacks and told.unheard == told.inputs
    if brings_nothing:
        return Losses()
    return Losses(told.from_outputs + told.replayed, told.unheard)


def are_said_to_be_delivered(told: Told, lost: Losses) -> bool:
    """Whether something is lost of which Edges records no failure.

    Which results a callback carried is not recorded, so beside failed callbacks that is known
    only once all of these came again, and results were missing all the same.
    """
    listed = [walk for _, walk in told.walks_of(Source.CALLBACKS) if walk.is_complete]
    if not listed:
        return False
    if not told.failed_callbacks:
        return bool(lost.results or lost.inputs)
    is_whole = any(not walk.is_cut for walk in listed)
    have_come = len(told.came_again) >= told.failed_callbacks
    return is_whole and have_come and told.from_outputs > 0


def proof(told: Told | None, statuses: Sequence[str] | set[str], results: int) -> Proof:
    """What is proven of a run of which callbacks showed `statuses` and `results` are stored."""
    last = told.last if told else None
    if told is None or last is None:
        status = run_status(statuses)
        is_over = status in TERMINAL_STATUSES
        return Proof(status, Completeness.UNVERIFIED if is_over else Completeness.OPEN)
    expected = expected_results(told)
    if last.status not in TERMINAL_STATUSES:
        return Proof(last.status, Completeness.OPEN, expected)
    walk = proving_walk(told, Source.INPUTS)
    if walk is None or expected is None:
        return Proof(last.status, Completeness.UNVERIFIED, expected)
    missing_inputs = max(0, walk.rows - told.inputs)
    if last.status != "STOPPED":  # what was not begun when it was stopped never ends
        missing_inputs += told.pending
    missing, surplus = max(0, expected - results), max(0, results - expected)
    is_whole = not (missing or surplus or missing_inputs)
    return Proof(
        last.status,
        Completeness.COMPLETE if is_whole else Completeness.INCOMPLETE,
        expected,
        missing,
        surplus,
        missing_inputs,
        last.told_ms,
    )
