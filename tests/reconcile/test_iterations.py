"""What became of each iteration of a schedule: matched to its run, missed, skipped, or open."""

import random
from datetime import UTC, datetime

import pytest

from app.reconcile.iterations import (
    EARLY_MS,
    GOING_MS_MAX,
    JUDGED_MAX,
    Due,
    Iteration,
    Phase,
    Produced,
    as_judged,
    due_times,
    due_to_judge,
    judge,
    last_due_times,
    matched,
    next_due_times,
    past_iterations,
)
from app.reconcile.timetable import Timetable

HOUR = 3_600_000
HOURLY = Timetable("0 * * * *")
DAY = round(datetime(2026, 11, 24, tzinfo=UTC).timestamp() * 1000)
"""Midnight; the hours of the tests count from it."""


def at(hour: float) -> int:
    return DAY + round(hour * HOUR)


def ran(
    began: float,
    ended: float | None = None,
    *,
    uid: str = "",
    last: float | None = None,
    created: bool = True,
    status: str | None = None,
) -> Produced:
    """A run of which is known when it was made, unless `created` is False."""
    return Produced(
        uid or f"run-{began}",
        at(began),
        at(last if last is not None else ended if ended is not None else began),
        status or ("RUNNING" if ended is None else "SUCCEEDED"),
        at(began) if created else None,
        None if ended is None else at(ended),
    )


def phase(begin: float, seen: float, status: str = "ACTIVE", on: Timetable = HOURLY) -> Phase:
    return Phase(at(begin), at(seen), status, on)


def states(found: list[Iteration]) -> dict[float, str]:
    return {(one.due_ms - DAY) / HOUR: one.state.value for one in found}


def told(
    phases: list[Phase], runs: list[Produced], now: float, settled: float, since: float = 0
) -> dict[float, str]:
    due = [*due_times(phases, at(since), at(now))]
    assert last_due_times(phases, at(since), at(now), 1_000) == due
    assert last_due_times(phases, at(since), at(now), 3) == due[-3:]
    return states(past_iterations(due, runs, settled_ms=at(settled)))


# ------------------------------------------------------------------- matching


def test_a_run_belongs_to_the_nearest_time_at_or_before_it_was_made() -> None:
    due = [at(1), at(2), at(3)]
    runs = [ran(0.5, uid="before"), ran(1, uid="exact"), ran(2.99, uid="late"), ran(7, uid="last")]
    found = matched(due, runs)
    assert {moment: run.run_uid for moment, run in found.items()} == {
        at(1): "exact",
        at(2): "late",
        at(3): "last",
    }


def test_a_clock_that_is_a_little_ahead_is_forgiven() -> None:
    early = ran(2)._replace(created_ms=at(2) - EARLY_MS)
    assert matched([at(1), at(2)], [early]) == {at(2): early}
    earlier = ran(2)._replace(created_ms=at(2) - EARLY_MS - 1)
    assert matched([at(1), at(2)], [earlier]) == {at(1): earlier}


def test_of_two_runs_made_in_one_gap_the_first_counts() -> None:
    runs = [ran(2.5, uid="again"), ran(2.1, uid="first")]
    found = matched([at(1), at(2), at(3)], runs)
    assert {moment: run.run_uid for moment, run in found.items()} == {at(2): "first"}


def test_a_run_heard_of_late_gives_way_to_the_one_that_came_after_it() -> None:
    late = ran(2.01, uid="late", created=False)
    next_one = ran(2.02, uid="next", created=False)
    found = matched([at(1), at(2), at(3)], [next_one, late])
    assert {moment: run.run_uid for moment, run in found.items()} == {at(1): "late", at(2): "next"}


@pytest.mark.parametrize("seed", range(30))
def test_every_run_finds_its_iteration_however_late_it_is_heard_of(seed: int) -> None:
    """As long as runs are heard of in their order, and less than a gap late."""
    rng = random.Random(seed)
    due = [at(hour) for hour in range(1, 40)]
    came = sorted(rng.sample(due, rng.randrange(1, len(due))))
    runs = [
        Produced(str(moment), moment + rng.randrange(HOUR - EARLY_MS), moment + HOUR, "SUCCEEDED")
        for moment in came
    ]
    found = matched(due, rng.sample(runs, len(runs)))
    assert {moment: run.run_uid for moment, run in found.items()} == {
        moment: str(moment) for moment in came
    }, seed


# ------------------------------------------------------------- what became of it


def test_what_did_not_come_in_time_is_missed() -> None:
    runs = [ran(1, 1.2), ran(3, 3.1)]
    assert told([phase(0, 5.2)], runs, now=5.2, settled=4.9) == {
        1: "ran",
        2: "missed",
        3: "ran",
        4: "missed",
        5: "pending",
    }


def test_what_found_the_run_before_it_still_at_work_was_skipped() -> None:
    runs = [ran(1, 3.5), ran(5, last=7.9)]
    found = past_iterations([Due(at(hour), True) for hour in range(1, 9)], runs, settled_ms=at(8))
    assert states(found) == {
        1: "ran", 2: "skipped", 3: "skipped", 4: "missed",
        5: "ran", 6: "skipped", 7: "skipped", 8: "skipped",
    }  # fmt: skip
    assert [one.behind and one.behind.run_uid for one in found[:4]] == [
        None,
        "run-1",
        "run-1",
        None,
    ]


def test_a_run_whose_end_was_never_heard_of_does_not_go_on_for_ever() -> None:
    hours = GOING_MS_MAX // HOUR
    found = told([phase(0, hours + 3)], [ran(1)], now=hours + 3, settled=hours + 3)
    assert (found[2], found[hours + 1]) == ("skipped", "skipped")
    assert (found[hours + 2], found[hours + 3]) == ("missed", "missed")


def test_a_run_that_began_after_another_shows_that_one_to_have_ended() -> None:
    runs = [ran(1), ran(2, 2.1)]  # the first one's last callback was lost
    assert told([phase(0, 4)], runs, now=3, settled=3) == {1: "ran", 2: "ran", 3: "missed"}


def test_nothing_is_expected_before_the_schedule_was_known() -> None:
    runs = [ran(1, 1.1)]
    assert told([phase(2.5, 4)], runs, now=4, settled=4) == {1: "ran", 3: "missed", 4: "missed"}


@pytest.mark.parametrize("status", ["PAUSED", "CANCELLED", "COMPLETED", "DELETED", "UNKNOWN"])
def test_nothing_is_expected_from_a_schedule_that_is_not_active(status: str) -> None:
    phases = [phase(0, 2.4), phase(2.5, 4.6, status), phase(4.7, 6)]
    assert told(phases, [], now=6, settled=6) == {
        1: "missed",
        2: "missed",
        5: "missed",
        6: "missed",
    }
    assert next_due_times(phases[:2], at(4.6), 5) == []


def test_nothing_is_held_against_a_schedule_between_two_times_that_it_was_asked() -> None:
    """It may have been paused by 3:00, though it was seen only at 3:30."""
    phases = [phase(0, 2.5), phase(3.5, 9, "PAUSED")]
    assert told(phases, [], now=9, settled=9) == {1: "missed", 2: "missed"}
    assert told(phases, [ran(3, 3.1)], now=9, settled=9)[3] == "ran"


def test_each_time_goes_by_the_timetable_of_its_day() -> None:
    phases = [phase(0, 4), phase(4.2, 24, on=Timetable("30 */4 * * *"))]
    assert told(phases, [ran(4.5, 4.6)], now=9, settled=9, since=2) == {
        3: "missed",
        4: "missed",
        4.5: "ran",
        8.5: "missed",
    }
    assert next_due_times(phases, at(9), 2) == [at(12.5), at(16.5)]


def test_a_schedule_that_is_to_run_once_is_missed_once() -> None:
    once = [phase(0, 9, on=Timetable(once_ms=at(3)))]
    assert told(once, [], now=9, settled=9) == {3: "missed"}
    assert told(once, [ran(3.2, 4)], now=9, settled=9) == {3: "ran"}
    assert next_due_times(once, at(1), 5) == [at(3)]
    assert next_due_times(once, at(3), 5) == []


# --------------------------------------------------------------------- judging


def test_each_missed_iteration_is_found_once_however_time_is_cut() -> None:
    phases = [phase(0, 999, on=Timetable("*/10 * * * *"))]
    runs = [ran(hour / 6, hour / 6 + 0.1) for hour in range(0, 400, 3)]
    judged, now, found = at(0), at(0), []
    rng = random.Random(7)
    while now < at(70):
        now += rng.randrange(12 * HOUR) if rng.random() < 0.1 else rng.randrange(HOUR)
        settled = now - HOUR // 4
        due = due_to_judge(phases, judged, now)
        known = [run for run in runs if run.began_ms <= now]
        missed, new_judged = judge(due, known, settled_ms=max(settled, judged))
        assert judged <= new_judged <= max(settled, judged)
        found += missed
        judged = new_judged
    while judged < at(60):
        due = due_to_judge(phases, judged, now)
        missed, judged = judge(due, runs, settled_ms=now)
        found += missed
    came = {run.began_ms for run in runs}
    every = [one.due_ms for one in due_times(phases, at(0), judged)]
    assert found == [one for one in every if one not in came]


def test_after_a_long_outage_it_is_judged_in_portions() -> None:
    phases = [phase(0, 999, on=Timetable("* * * * *"))]
    due = due_to_judge(phases, at(0), at(99))
    missed, judged = judge(due, [], settled_ms=at(99))
    assert len(missed) == JUDGED_MAX
    assert judged == missed[-1]
    assert due_to_judge(phases, judged, at(99))[0].due_ms == judged + 60_000


def test_what_was_judged_and_not_noted_has_a_run_at_edges() -> None:
    due = [Due(at(hour), True) for hour in range(1, 5)]
    found = past_iterations(due, [ran(1, 1.1)], settled_ms=at(3))
    assert states(found) == {1: "ran", 2: "missed", 3: "missed", 4: "pending"}
    judged = as_judged(found, {at(2)}, judged_ms=at(3))
    assert states(judged) == {1: "ran", 2: "missed", 3: "unheard", 4: "pending"}
