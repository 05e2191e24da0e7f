"""The calendar strip, as a pure function of what the API says."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.dashboard.strip import NEXT_DAYS, PAST_DAYS, STATES, strip
from app.reconcile.iterations import State

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 25, 0, 30, tzinfo=PARIS)
"""Half past midnight, when it is still the day before in UTC."""


def iteration(at: datetime, state: str = "ran", run_uid: str | None = "r") -> dict[str, Any]:
    return {
        "due_at_local": at.isoformat(),
        "state": state,
        "run_uid": run_uid if state == "ran" else None,
        "skipped_behind": "before" if state == "skipped" else None,
    }


def detail(*iterations: dict[str, Any], to_come: int = 0) -> dict[str, Any]:
    return {
        "iterations": list(iterations),
        "next": [
            {"due_at_local": (NOW + timedelta(days=days, hours=8)).isoformat()}
            for days in range(to_come)
        ],
        "runs": [{"run_uid": "r", "status": "SUCCEEDED"}, {"run_uid": "bad", "status": "FAILED"}],
    }


def test_days_are_those_of_the_schedules_own_clocks() -> None:
    days = strip(detail(iteration(NOW - timedelta(minutes=15)), to_come=30), NOW, iterations_max=50)
    assert len(days) == PAST_DAYS + 1 + NEXT_DAYS
    today = days[PAST_DAYS]
    assert (today.is_today, today.day.isoformat()) == (True, "2026-11-25")
    assert [cell.words for cell in today.cells] == ["00:15 ran: succeeded", "08:30 is to come"]
    assert all(len(day.cells) == 1 for day in days[PAST_DAYS + 1 :])
    assert not any(day.cells for day in days[:PAST_DAYS])


def test_a_cell_leads_to_its_run() -> None:
    yesterday = NOW - timedelta(days=1)
    states = ("ran", "skipped", "missed", "pending", "unheard")
    found = [iteration(yesterday + timedelta(hours=n), one) for n, one in enumerate(states)]
    found.append(iteration(yesterday + timedelta(hours=9), "ran", "bad"))
    (day,) = [one for one in strip(detail(*found), NOW, iterations_max=50) if one.cells]
    assert [(cell.state, cell.run_uid) for cell in day.cells] == [
        *(("ran", "r"), ("skipped", "before"), ("missed", None), ("pending", None)),
        *(("unheard", None), ("failed", "bad")),
    ]


@pytest.mark.parametrize(("a_day", "cells"), [(24, 1), (1, 1)])
def test_where_there_are_many_the_worst_is_shown(a_day: int, cells: int) -> None:
    begin = (NOW - timedelta(days=1)).replace(hour=7, minute=0)
    found = [iteration(begin + timedelta(minutes=n)) for n in range(30)]
    found[11] |= {"state": "missed", "run_uid": None}
    (day,) = [
        one for one in strip(detail(*found), NOW, iterations_max=50, cells_a_day=a_day) if one.cells
    ]
    assert [cell.state for cell in day.cells] == ["missed"] * cells
    assert day.cells[0].words.endswith("1 missed, 29 ran")


def test_days_of_which_not_all_is_told_are_not_known() -> None:
    found = [iteration(NOW - timedelta(hours=n + 1)) for n in range(50)]
    days = strip(detail(*found), NOW, iterations_max=50)
    assert [day.is_known for day in days[PAST_DAYS - 4 : PAST_DAYS]] == [False, True, True, True]
    assert all(day.is_known for day in strip(detail(*found), NOW, iterations_max=51))


def test_every_state_of_the_api_has_a_sign() -> None:
    assert {state.value for state in State} <= set(STATES)
