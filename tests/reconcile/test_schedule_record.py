"""Records of Edges, read with tolerance, and what was told over time."""

import json
from typing import Any

import pytest

from app.reconcile.schedule_record import (
    DELETED,
    PHASES_MAX,
    RECORD_BYTES_MAX,
    gone,
    phases_of,
    read_schedule,
    record_of,
    row_of,
    time_ms,
)
from app.reconcile.timetable import Timetable
from app.store.rows import ScheduleRow
from app.store.views import ScheduleView

RECORD: dict[str, Any] = {
    "uid": "s1",
    "name": "Leads, daily",
    "action_name": "an-action",
    "status": "ACTIVE",
    "cron": "0 9 * * *",
    "timezone": "Europe/Paris",
    "created_at": "2026-11-01T00:00:00.000Z",
    "updated_at": "2026-11-02T00:00:00.000Z",
    "more": {"of": ["it", 2**70]},
}


def view(row: ScheduleRow, first_seen_ms: int | None = None) -> ScheduleView:
    """The row as the store gives it back."""
    first = row.told_ms if first_seen_ms is None else first_seen_ms
    return ScheduleView(
        row.uid, row.status, row.action_name, row.record, row.phases, first, row.told_ms, first
    )


def test_a_record_is_read_and_kept_whole() -> None:
    told = read_schedule(RECORD)
    assert told.uid == "s1"
    assert told.timetable == Timetable("0 9 * * *", "Europe/Paris")
    assert told.created_ms == time_ms("2026-11-01T01:00:00+01:00") == 1_793_491_200_000
    row = row_of("s1", RECORD, None, 5)
    assert record_of(view(row)) == RECORD
    assert (row.status, row.action_name, row.after_told_ms) == ("ACTIVE", "an-action", None)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"uid": 5, "cron": [], "timezone": None, "status": 7, "created_at": 12, "schedule_at": {}},
        {"uid": "", "cron": " ", "timezone": "", "status": "", "created_at": "yesterday"},
        {"updated_at": "9" * 500, "schedule_at": "0001-01-01T00:00:00+23:00"},
    ],
)
def test_what_makes_no_sense_is_left_out(odd: dict[str, Any]) -> None:
    told = read_schedule(odd)
    assert told[:4] == (None, None, None, "UNKNOWN")
    assert told.timetable == Timetable()
    assert told.created_ms is told.updated_ms is None
    row_of("s1", odd, None, 5)


def test_names_differ_and_texts_may_hold_anything() -> None:
    told = read_schedule(
        {"scheduled_run_uid": "s2", "status": " paused ", "name": "a\0" + "x" * 999}
    )
    assert (told.uid, told.status) == ("s2", "PAUSED")
    assert told.name is not None
    assert (told.name[:3], len(told.name)) == ("a?x", 200)
    assert read_schedule({"schedule_at": "2026-11-25T09:00:00"}).timetable.once_ms == time_ms(
        "2026-11-25T09:00:00Z"
    )


def test_a_record_that_is_too_large_keeps_its_small_fields() -> None:
    row = row_of("s1", {**RECORD, "inputs": ["x" * 100] * 1_000}, None, 5)
    assert record_of(view(row)) == RECORD
    many = {f"field-{number}": "x" * 3_000 for number in range(500)}
    assert len(row_of("s1", many, None, 5).record) <= RECORD_BYTES_MAX


def test_phases_tell_when_it_changed() -> None:
    one = view(row_of("s1", RECORD, None, time_ms("2026-11-03T00:00:00Z") or 0))
    same = row_of("s1", {**RECORD, "name": "other"}, one, one.told_ms + 1_000)
    assert same.after_told_ms == one.told_ms
    (phase,) = phases_of(view(same))
    assert (phase.from_ms, phase.seen_until_ms) == (one.told_ms, one.told_ms + 1_000)

    # Without a time that makes sense, a change began when it was seen.
    paused = view(row_of("s1", {**RECORD, "status": "PAUSED"}, view(same), one.told_ms + 9_000))
    before, after = phases_of(paused)
    assert (before.seen_until_ms, after.from_ms) == (one.told_ms + 1_000, one.told_ms + 9_000)
    assert (after.status, after.is_active) == ("PAUSED", False)

    # With one, it began then.
    updated = {**RECORD, "updated_at": "2026-11-03T00:00:20Z", "cron": "0 8 * * *"}
    changed = view(row_of("s1", updated, paused, one.told_ms + 30_000))
    assert phases_of(changed)[-1].from_ms == one.told_ms + 20_000
    assert phases_of(changed)[-1].timetable.cron == "0 8 * * *"


def test_phases_are_bounded() -> None:
    last = view(row_of("s1", RECORD, None, 0))
    for number in range(PHASES_MAX * 2):
        last = view(row_of("s1", {**RECORD, "cron": f"{number % 60} 9 * * *"}, last, number), 0)
    phases = phases_of(last)
    assert len(phases) == PHASES_MAX
    assert phases[-1].timetable.cron == f"{(PHASES_MAX * 2 - 1) % 60} 9 * * *"


def test_a_schedule_that_is_gone_keeps_what_was_said_of_it() -> None:
    row = gone("s1", view(row_of("s1", RECORD, None, 5)), 9)
    assert row.status == DELETED
    assert json.loads(row.record) == {**RECORD, "status": DELETED}
    never = gone("s2", None, 9)
    assert (never.status, json.loads(never.record)["uid"]) == (DELETED, "s2")
