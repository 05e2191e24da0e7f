"""When iterations come due, and which timings are refused."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from app.simulator.errors import EdgesError
from app.simulator.timing import read_timing

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def due(count: int, after: datetime, **body: Any) -> list[str]:
    timing, moments, at_s = read_timing(body), [], after.timestamp()
    for _ in range(count):
        next_s = timing.next_after(at_s)
        assert next_s is not None
        at_s = next_s
        moments.append(datetime.fromtimestamp(at_s, UTC).strftime("%m-%d %H:%M"))
    return moments


def test_cron_is_read_in_utc_unless_a_time_zone_is_named() -> None:
    assert due(2, NEW_YEAR, cron="30 8 * * *") == ["01-01 08:30", "01-02 08:30"]
    assert due(2, NEW_YEAR, cron="30 8 * * *", timezone="Asia/Tokyo") == [
        *("01-01 23:30", "01-02 23:30")
    ]
    assert due(2, NEW_YEAR, cron="0 9 * * 1") == ["01-04 09:00", "01-11 09:00"]


def test_a_moment_that_is_due_is_not_due_again() -> None:
    timing = read_timing({"cron": "* * * * *"})
    first = timing.next_after(NEW_YEAR.timestamp())
    assert first == NEW_YEAR.timestamp() + 60
    assert timing.next_after(first) == first + 60


@pytest.mark.parametrize("month", [3, 10])
def test_daylight_saving_makes_days_of_23_and_25_hours(month: int) -> None:
    timing = read_timing({"cron": "0 12 * * *", "timezone": "Europe/Paris"})
    moments = [datetime(2027, month, 26, tzinfo=UTC).timestamp()]
    for _ in range(6):
        next_s = timing.next_after(moments[-1])
        assert next_s is not None
        moments.append(next_s)
    hours = [(b - a) / 3_600 for a, b in pairwise(moments[1:])]
    assert sorted(set(hours)) == ([23, 24] if month == 3 else [24, 25])


@pytest.mark.parametrize(
    ("text", "timezone", "expected"),
    [
        ("2027-02-03T04:05:00Z", "UTC", "02-03 04:05"),
        ("2027-02-03T04:05:00+02:00", "UTC", "02-03 02:05"),
        ("2027-02-03T04:05:00", "Asia/Tokyo", "02-02 19:05"),
    ],
)
def test_one_moment_is_read_with_its_offset_or_in_the_time_zone(
    text: str, timezone: str, expected: str
) -> None:
    assert due(1, NEW_YEAR, schedule_at=text, timezone=timezone) == [expected]


@pytest.mark.parametrize(
    ("body", "label"),
    [
        ({}, "MISSING_PARAMETER"),
        ({"cron": "* * * *"}, "BAD_PARAMETERS"),
        ({"cron": "* * * * * *"}, "BAD_PARAMETERS"),
        ({"cron": "61 * * * *"}, "BAD_PARAMETERS"),
        ({"cron": "0 0 30 2 *"}, "BAD_PARAMETERS"),
        ({"cron": 5}, "BAD_PARAMETERS"),
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "BAD_PARAMETERS"),
        ({"cron": "* * * * *", "timezone": "../etc/passwd"}, "BAD_PARAMETERS"),
        ({"cron": "* * * * *", "timezone": 2}, "BAD_PARAMETERS"),
        ({"schedule_at": "tomorrow"}, "BAD_PARAMETERS"),
        ({"schedule_at": 5}, "BAD_PARAMETERS"),
        ({"schedule_at": "2027-01-01T00:00:00Z", "cron": "* * * * *"}, "BAD_PARAMETERS"),
    ],
)
def test_a_timing_that_makes_no_sense_is_refused(body: dict[str, Any], label: str) -> None:
    with pytest.raises(EdgesError) as refused:
        read_timing(body)
    assert (refused.value.label, refused.value.status_code) == (label, 400)
