"""What became of each iteration of a schedule: pure, from what was told of it and its runs.

All times are Unix times in milliseconds.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from app.model import TERMINAL_STATUSES
from app.reconcile.timetable import Timetable

EARLY_MS = 5_000
"""Clocks differ: a run may have been made so long before its time, by what is told of it."""

GOING_MS_MAX = 24 * 3_600_000
"""A run that never told its end, and was not heard of for so long, does not go on any more."""

JUDGED_MAX = 200
"""Iterations judged at once; what follows is judged the next time."""

_LOOK_AHEAD = 100
_FAR_MS = 4_102_444_800_000  # 2100

ACTIVE = "ACTIVE"


class State(StrEnum):
    """What became of an iteration."""

    RAN = "ran"
    """A run of it is known."""
    PENDING = "pending"
    """It was due, and it is too early to say more."""
    SKIPPED = "skipped"
    """It brought no run, and the run before it still went on, as far as is known."""
    MISSED = "missed"
    """It should have brought a run, and there was none in time."""
    UNHEARD = "unheard"
    """Edges has a run of it, of which no callback came."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A time during which a schedule was told to be the same."""

    from_ms: int
    seen_until_ms: int
    """When it was last told so. What came between this and the next phase is not known."""
    status: str
    timetable: Timetable

    @property
    def is_active(self) -> bool:
        """Whether runs are to be expected."""
        return self.status == ACTIVE


class Produced(NamedTuple):
    """A run of a schedule, as far as its times are known."""

    run_uid: str
    first_seen_ms: int
    last_seen_ms: int
    status: str
    created_ms: int | None = None
    """What Edges told, if it was asked."""
    finished_ms: int | None = None

    @property
    def began_ms(self) -> int:
        """When it was made, or else first heard of."""
        return self.first_seen_ms if self.created_ms is None else self.created_ms

    def is_going_at(self, moment_ms: int) -> bool:
        """Whether it had begun, and had not come to its end."""
        if self.began_ms >= moment_ms:
            return False
        if self.finished_ms is not None:
            return self.finished_ms > moment_ms
        if self.status in TERMINAL_STATUSES:
            return self.last_seen_ms > moment_ms
        return moment_ms - self.last_seen_ms <= GOING_MS_MAX


class Iteration(NamedTuple):
    """One time at which a schedule was due."""

    due_ms: int
    state: State
    run: Produced | None = None
    behind: Produced | None = None
    """Of a skipped one: the run that still went on."""


class Due(NamedTuple):
    """A time at which a schedule was due, by what was told of it."""

    due_ms: int
    is_expected: bool
    """Whether it was known then that it was to run: False before it was first told of, and
    between two phases."""


def due_times(phases: Sequence[Phase], after_ms: int, until_ms: int) -> Iterator[Due]:
    """When a schedule was active and due, in order, by the timetable of each phase.

    After `after_ms`, up to and including `until_ms`. Raises TimetableError.
    """
    for span in _spans(phases, until_ms):
        begin_ms = max(after_ms, span.begin_ms)
        yield from map(span.due, span.phase.timetable.due_times(begin_ms, span.end_ms))


def last_due_times(phases: Sequence[Phase], after_ms: int, until_ms: int, limit: int) -> list[Due]:
    """The last `limit` of `due_times`, in order. Raises TimetableError."""
    found: list[Due] = []
    for span in reversed([*_spans(phases, until_ms)]):
        if len(found) == limit or span.end_ms <= after_ms:
            break
        begin_ms, left = max(after_ms, span.begin_ms), limit - len(found)
        times = span.phase.timetable.last_due_times(begin_ms, span.end_ms, left)
        found[:0] = map(span.due, times)
    return found


class _Span(NamedTuple):
    """Where the timetable of an active phase holds."""

    phase: Phase
    begin_ms: int
    end_ms: int
    is_last: bool

    def due(self, due_ms: int) -> Due:
        """Of the last phase all is expected: that it ended is not known."""
        was_seen_since = self.is_last or due_ms <= self.phase.seen_until_ms
        return Due(due_ms, self.phase.from_ms < due_ms and was_seen_since)


def _spans(phases: Sequence[Phase], until_ms: int) -> Iterator[_Span]:
    """Active phases in order. The first one's timetable held before it was told of."""
    for place, phase in enumerate(phases):
        is_last = place == len(phases) - 1
        begin_ms = phase.from_ms if place else 0
        end_ms = until_ms if is_last else min(until_ms, phases[place + 1].from_ms)
        if phase.is_active and begin_ms < end_ms:
            yield _Span(phase, begin_ms, end_ms, is_last)


def next_due_times(phases: Sequence[Phase], now_ms: int, limit: int) -> list[int]:
    """When it is due next, if it stays as it is. Raises TimetableError."""
    if not phases or not phases[-1].is_active:
        return []
    return [*islice(phases[-1].timetable.due_times(now_ms, _FAR_MS), limit)]


def matched(due: Sequence[int], runs: Sequence[Produced]) -> dict[int, Produced]:
    """The run of each due time that has one.

    A run belongs to the nearest due time at or before it was made; of several, the first
    counts. Of a run of which only is known when it was first heard of, that may have been
    after the next due time: where a later run is already at its place, it belongs to the one
    before that.
    """
    found: dict[int, Produced] = {}
    place_after = len(due)
    for run in sorted(runs, key=lambda one: (one.began_ms, one.run_uid), reverse=True):
        place = bisect_right(due, run.began_ms + EARLY_MS) - 1
        if run.created_ms is None:
            place = min(place, place_after - 1)
        if place >= 0:
            found[due[place]] = run
            place_after = min(place_after, place)
    return found


def past_iterations(
    due: Sequence[Due], runs: Sequence[Produced], *, settled_ms: int
) -> list[Iteration]:
    """What became of each of `due`, oldest first.

    `runs` are all that began since the first of them, and those that went on then. What was
    due until `settled_ms` has had time enough. A due time without a run that was not
    expected is left out, since nothing is known of it.
    """
    of_runs = matched([one.due_ms for one in due], runs)
    ordered = sorted(runs, key=lambda one: (one.began_ms, one.run_uid))
    begins = [run.began_ms for run in ordered]
    found = []
    for due_ms, is_expected in due:
        run = of_runs.get(due_ms)
        if run is not None:
            found.append(Iteration(due_ms, State.RAN, run))
        elif is_expected and due_ms > settled_ms:
            found.append(Iteration(due_ms, State.PENDING))
        elif is_expected:
            # Only the latest can still go on: where one begins, the one before it has ended.
            place = bisect_right(begins, due_ms - 1)
            before = ordered[place - 1] if place else None
            if before is not None and before.is_going_at(due_ms):
                found.append(Iteration(due_ms, State.SKIPPED, None, before))
            else:
                found.append(Iteration(due_ms, State.MISSED))
    return found


def as_judged(
    found: Sequence[Iteration], noted: Collection[int], *, judged_ms: int
) -> list[Iteration]:
    """`found`, where what was judged and not `noted` as missed was not missed.

    Whoever judged it asked Edges, and knew of a run that is not here.
    """
    return [
        one._replace(state=State.UNHEARD)
        if one.state is State.MISSED and one.due_ms <= judged_ms and one.due_ms not in noted
        else one
        for one in found
    ]


class Judgement(NamedTuple):
    """What was found of the iterations that were not judged before."""

    missed: list[int]
    """Due times."""
    judged_ms: int
    """Up to here, all that was due is judged for good."""


def due_to_judge(phases: Sequence[Phase], judged_ms: int, now_ms: int) -> list[Due]:
    """What is to be judged next, and some of what follows it. Raises TimetableError."""
    return [*islice(due_times(phases, judged_ms, now_ms), JUDGED_MAX + _LOOK_AHEAD)]


def judge(due: Sequence[Due], runs: Sequence[Produced], *, settled_ms: int) -> Judgement:
    """Judge what `due_to_judge` found: the first `JUDGED_MAX`, if they are settled.

    `runs` and `settled_ms` as for `past_iterations`.
    """
    if len(due) > JUDGED_MAX:
        settled_ms = min(settled_ms, due[JUDGED_MAX - 1].due_ms)
    found = past_iterations(due, runs, settled_ms=settled_ms)
    return Judgement([one.due_ms for one in found if one.state is State.MISSED], settled_ms)
