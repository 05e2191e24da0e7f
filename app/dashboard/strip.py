"""A calendar strip: what became of a schedule's iterations, and which are to come, day by day."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

PAST_DAYS = 14
NEXT_DAYS = 7
CELLS_A_DAY = 24
"""Where a day has more, there is a cell for each hour."""

STATES = {
    "missed": ("✕", "missed"),
    "unheard": ("?", "ran at Edges, but no callback came"),
    "failed": ("!", "ran and failed"),
    "skipped": ("↷", "skipped, since the run before went on"),
    "pending": ("…", "was due, not known yet"),
    "ran": ("✓", "ran"),
    "next": ("·", "is to come"),
}
"""By what became of it, worst first: a sign, and words."""

_BADLY = frozenset({"FAILED", "BLOCKED", "INVALID", "STOPPED"})
_WORST = {state: place for place, state in enumerate(STATES)}


class Cell(NamedTuple):
    """One iteration, or all of an hour or a day."""

    state: str
    sign: str
    words: str
    run_uid: str | None


class Day(NamedTuple):
    """A day by the schedule's own clocks."""

    day: date
    is_today: bool
    is_known: bool
    """False where more iterations were than are told."""
    cells: list[Cell]


class _Due(NamedTuple):
    at: datetime
    state: str
    words: str
    run_uid: str | None


def strip(
    detail: Mapping[str, Any], now: datetime, *, iterations_max: int, cells_a_day: int = CELLS_A_DAY
) -> list[Day]:
    """The days around `now`, which is told by the schedule's clocks.

    `detail` is what the API says of the schedule, with at most `iterations_max` of the last
    iterations.
    """
    statuses = {run["run_uid"]: run["status"] for run in detail["runs"]}
    past = [_past(one, statuses) for one in detail["iterations"]]
    to_come = [_Due(_local(one), "next", STATES["next"][1], None) for one in detail["next"]]
    by_day: dict[date, list[_Due]] = {}
    for due in sorted([*past, *to_come], key=lambda one: one.at):
        by_day.setdefault(due.at.date(), []).append(due)
    is_cut = len(past) >= iterations_max
    known_from = min(due.at for due in past).date() if is_cut else date.min
    today = now.date()
    days = (today + timedelta(days=offset) for offset in range(-PAST_DAYS, NEXT_DAYS + 1))
    return [
        Day(day, day == today, day >= known_from, _cells(by_day.get(day, []), cells_a_day))
        for day in days
    ]


def _past(one: Mapping[str, Any], statuses: Mapping[str, str]) -> _Due:
    state, run_uid = one["state"], one["run_uid"] or one["skipped_behind"]
    words = STATES[state][1]
    if state == "ran" and (status := statuses.get(run_uid)):
        words = f"ran: {status.replace('_', ' ').lower()}"
        state = "failed" if status in _BADLY else state
    return _Due(_local(one), state, words, run_uid)


def _local(one: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(one["due_at_local"])


def _cells(dues: Sequence[_Due], cells_max: int) -> list[Cell]:
    if len(dues) <= cells_max:
        return [_cell([due], f"{due.at:%H:%M}") for due in dues]
    if cells_max == 1:
        return [_cell(dues, f"{len(dues)} times")]
    by_hour: dict[int, list[_Due]] = {}
    for due in dues:
        by_hour.setdefault(due.at.hour, []).append(due)
    return [_cell(some, f"{hour:02}:00 to {hour:02}:59") for hour, some in by_hour.items()]


def _cell(dues: Sequence[_Due], when: str) -> Cell:
    """All in one: its state is the worst of theirs, and leads to the run that has it."""
    worst = min(dues, key=lambda due: _WORST[due.state])
    words = f"{when} {worst.words}" if len(dues) == 1 else f"{when}: {_counted(dues)}"
    return Cell(worst.state, STATES[worst.state][0], words, worst.run_uid)


def _counted(dues: Iterable[_Due]) -> str:
    counts: dict[str, int] = {}
    for due in dues:
        counts[due.state] = counts.get(due.state, 0) + 1
    ordered = sorted(counts, key=_WORST.__getitem__)
    return ", ".join(f"{counts[state]} {STATES[state][1].partition(',')[0]}" for state in ordered)
