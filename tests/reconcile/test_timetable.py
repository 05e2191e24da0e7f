"""When a schedule is due, against croniter, and on the days when clocks change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from app.reconcile.timetable import Timetable, TimetableError, local_time
from tests.soak import examples

ZONES = (
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kathmandu",  # 5:45
    "America/Santiago",  # the gap is at midnight
)
CHANGES = (
    datetime(2026, 3, 8, tzinfo=UTC),
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 4, 4, tzinfo=UTC),
    datetime(2026, 9, 5, tzinfo=UTC),
    datetime(2026, 10, 3, tzinfo=UTC),
    datetime(2026, 10, 24, tzinfo=UTC),
    datetime(2026, 10, 31, tzinfo=UTC),
)
"""Days in which, or after which, clocks change in one of these zones."""


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def utc(text: str) -> int:
    return ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def a_field(lowest: int, highest: int) -> st.SearchStrategy[str]:
    """A field of a cron."""
    number = st.integers(lowest, highest)
    # croniter takes 0-0 for every minute.
    pair = st.tuples(number, number).map(sorted).filter(lambda both: both[0] < both[1])
    step = st.integers(1, highest // 2)
    return st.one_of(
        st.just("*"),
        number.map(str),
        step.map("*/{}".format),
        pair.map(lambda both: f"{both[0]}-{both[1]}"),
        st.tuples(pair, step).map(lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"),
        st.lists(number, min_size=2, max_size=4).map(lambda many: ",".join(map(str, many))),
    )


CRONS = st.tuples(
    a_field(0, 59),
    a_field(0, 23),
    st.one_of(st.just("*"), a_field(1, 28)),
    st.one_of(st.just("*"), a_field(1, 12)),
    st.one_of(st.just("*"), a_field(0, 6)),
).map(" ".join)


def by_croniter(cron: str, after: datetime) -> Iterator[int]:
    """What croniter says, less where it differs on purpose from Debian's cron."""
    minute, hour, *_ = cron.split()
    is_fixed = not minute.startswith("*") and not hour.startswith("*")
    zone = after.tzinfo
    last = after
    for moment in croniter(cron, after, ret_type=datetime, implement_cron_bug=True):
        if is_fixed and moment.fold:
            continue  # it runs twice what Debian runs once
        wall = moment.replace(tzinfo=None)
        midnight = wall.replace(hour=0, minute=0)
        if not is_fixed and not matches(cron, wall, midnight):
            continue  # it moves out of the gap what Debian leaves out
        if moment.astimezone(UTC) > last.astimezone(UTC):
            last = moment
            yield ms(moment.astimezone(zone))


def matches(cron: str, wall: datetime, midnight: datetime) -> bool:
    """Whether the clock on the wall fits hour and minute: in UTC, where nothing is moved."""
    minute, hour, *_ = cron.split()
    plain = croniter(f"{minute} {hour} * * *", midnight.replace(tzinfo=UTC) - timedelta(minutes=1))
    while (found := plain.get_next(datetime).replace(tzinfo=None)) < wall:
        pass
    return bool(found == wall)


USUAL_ZONES = tuple(sorted(set(ZONES) - {"Australia/Lord_Howe", "America/Santiago"}))
"""Where clocks change by a whole hour, and not at midnight: elsewhere cronsim and croniter part
ways on that one day. Going back by half an hour (Lord Howe), cronsim leaves out what is due in
the half hour behind the change; with a gap at midnight (Santiago), it runs `* 0` once at 01:00."""


@settings(max_examples=examples(25))
@given(
    CRONS, st.sampled_from(USUAL_ZONES), st.sampled_from(CHANGES), st.integers(-200_000, 200_000)
)
def test_it_is_due_when_croniter_says(
    cron: str, zone: str, change: datetime, offset_s: int
) -> None:
    after = (change + timedelta(seconds=offset_s)).astimezone(ZoneInfo(zone))
    expected = [*islice(by_croniter(cron, after), 12)]
    until = ms(after) + 1000 * 86_400_000
    due = [*islice(Timetable(cron, zone).due_times(ms(after), until), 12)]
    expected = [one for one in expected if one <= until]
    assert due == expected, [local_time(one, zone) for one in due]


@settings(max_examples=examples(25))
@given(
    CRONS,
    # On the one day of Lord Howe whose half an hour comes twice, cronsim's times depend on where
    # it begins.
    st.sampled_from(sorted(set(ZONES) - {"Australia/Lord_Howe"})),
    st.sampled_from(CHANGES),
    st.tuples(st.integers(0, 400_000), st.integers(0, 400_000)),
    st.integers(1, 20),
)
def test_due_times_do_not_depend_on_where_one_begins(
    cron: str, zone: str, change: datetime, around_s: tuple[int, int], limit: int
) -> None:
    before_s, after_s = around_s
    timetable = Timetable(cron, zone)
    begin, end = ms(change) - before_s * 1000, ms(change) + after_s * 1000
    due = [*timetable.due_times(begin, end)]
    assert due == sorted(set(due))
    assert all(begin < one <= end for one in due)
    middle = (begin + end) // 2 + 1
    assert [*timetable.due_times(begin, middle), *timetable.due_times(middle, end)] == due
    assert timetable.last_due_times(begin, end, limit) == due[-limit:]


CLOCK_CHANGES = [
    # A fixed time within the gap: once, at its end.
    ("30 2 * * *", "Europe/Paris", "2026-03-28 12:00", ["03-29 01:00", "03-30 00:30"]),
    ("30 2 * * *", "America/New_York", "2026-03-07 12:00", ["03-08 07:00", "03-09 06:30"]),
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", ["10-03 15:30", "10-04 15:15"]),
    ("15 0 * * *", "America/Santiago", "2026-09-05 12:00", ["09-06 04:00", "09-07 03:15"]),
    ("0,20,40 2 * * *", "Europe/Paris", "2026-03-28 12:00", ["03-29 01:00", "03-30 00:00"]),
    # A fixed time that occurs twice: the first time.
    ("30 2 * * *", "Europe/Paris", "2026-10-24 12:00", ["10-25 00:30", "10-26 01:30"]),
    ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["11-01 05:30", "11-02 06:30"]),
    ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", ["04-04 14:45", "04-05 15:15"]),
    # Also when it is looked at in between.
    ("30 2 * * *", "Europe/Paris", "2026-10-25 00:45", ["10-26 01:30"]),
    ("30 2 * * *", "Europe/Paris", "2026-10-25 01:10", ["10-26 01:30"]),
    # By real time.
    ("*/30 * * * *", "Europe/Paris", "2026-03-29 00:40", ["03-29 01:00", "03-29 01:30"]),
    ("*/30 * * * *", "Europe/Paris", "2026-10-25 00:20",
     ["10-25 00:30", "10-25 01:00", "10-25 01:30", "10-25 02:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("cron", "zone", "after", "expected"), CLOCK_CHANGES)
def test_days_when_clocks_change(cron: str, zone: str, after: str, expected: list[str]) -> None:
    after_ms = utc(after)
    due = islice(Timetable(cron, zone).due_times(after_ms, after_ms + 10**9), len(expected))
    assert [*due] == [utc(f"2026-{one}") for one in expected]


def test_either_day_will_do_where_both_are_restricted() -> None:
    begin, end = utc("2026-11-01 00:00"), utc("2026-11-30 00:00")

    def days(cron: str) -> list[int]:
        due = Timetable(cron).due_times(begin, end)
        return [datetime.fromtimestamp(one / 1000, UTC).day for one in due]

    assert days("0 12 1,15 * 1") == [1, 2, 9, 15, 16, 23]
    assert days("0 12 * * 1") == [2, 9, 16, 23]
    assert days("0 12 1,15 * *") == [1, 15]
    assert days("0 12 * * 0") == days("0 12 * * 7") == days("0 12 * * sun") == [1, 8, 15, 22, 29]


def test_once_is_once() -> None:
    timetable = Timetable(once_ms=5_000)
    assert [*timetable.due_times(0, 5_000)] == timetable.last_due_times(0, 9_000, 5) == [5_000]
    assert [*timetable.due_times(5_000, 9_000)] == [*timetable.due_times(0, 4_999)] == []
    assert [*Timetable().due_times(0, 9_000)] == []
    assert timetable.in_words() is None


def test_what_is_due_every_minute_is_bounded() -> None:
    end = utc("2026-11-25 00:00")
    due = Timetable("* * * * *", "Europe/Paris").last_due_times(0, end, 50)
    assert due == [end - 60_000 * place for place in reversed(range(50))]
    assert Timetable("0 0 29 2 *").last_due_times(0, end, 2) == [
        utc("2020-02-29 00:00"),
        utc("2024-02-29 00:00"),
    ]


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("@daily", "UTC", "has not five fields"),
        ("0 0 * * * *", "UTC", "has not five fields"),
        ("", "UTC", "has not five fields"),
        ("* " * 200, "UTC", "has not five fields"),
        ("60 * * * *", "UTC", "Bad minute"),
        ("x * * * *", "UTC", "Bad minute"),
        ("0 0 31 2 *", "UTC", "Bad day-of-month"),
        ("0 0 * * *", "Europe/Nowhere", "time zone 'Europe/Nowhere' is unknown"),
        ("0 0 * * *", "../etc", "is unknown"),
        ("0 0 * * *", "Europe", "is unknown"),
        ("0 0 * * *", "x" * 5_000, "is unknown"),
    ],
)
def test_what_cannot_be_read_is_told(cron: str, zone: str, said: str) -> None:
    timetable = Timetable(cron, zone)
    with pytest.raises(TimetableError, match=said):
        timetable.check()
    with pytest.raises(TimetableError, match=said):
        [*timetable.due_times(0, 10**12)]
    if zone == "UTC":
        assert timetable.in_words() is None


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 9 * * 1-5", "At 09:00 on Monday through Friday"),
        ("30 2 * * *", "At 02:30 every day"),
        ("*/30 * * * *", "Every 30th minute of every hour"),
    ],
)
def test_a_cron_is_told_in_words(cron: str, words: str) -> None:
    assert Timetable(cron, "Europe/Paris").in_words() == words


def test_a_local_time_has_the_offset_of_its_season() -> None:
    assert local_time(utc("2026-07-01 12:00"), "Europe/Paris") == "2026-07-01T14:00:00+02:00"
    assert local_time(utc("2026-12-01 12:00"), "Europe/Paris") == "2026-12-01T13:00:00+01:00"
