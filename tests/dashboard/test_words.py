"""How figures and times read."""

from datetime import UTC, datetime, timedelta

import pytest
from markupsafe import Markup

from app.dashboard.words import NOTHING, ago, cell, duration, many, number, share, shortened, size


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (7_500, "2 h 5 min"),
        (86_400, "1 d"),
        (90_061, "1 d 1 h"),
        (86_400 + 61, "1 d"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 0, NOTHING),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (99_999, 100_000, "> 99.9 %"),
        (1, 100_000, "< 0.1 %"),
        (2, 3, "66.7 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part: int, whole: int, said: str) -> None:
    assert share(part, whole) == said


def test_figures() -> None:
    assert (number(1_234_567), number(None)) == ("1,234,567", NOTHING)
    assert (many(1, "entry", "entries"), many(1_000, "input")) == ("1 entry", "1,000 inputs")
    assert [size(n) for n in (0, 999, 1_400, 250_000, 3e12)] == [
        "0 B", "999 B", "1.4 kB", "250 kB", "3.0 TB"
    ]  # fmt: skip


def test_times_are_told_from_now() -> None:
    past = (datetime.now(UTC) - timedelta(hours=2, minutes=5, seconds=30)).isoformat()
    coming = (datetime.now(UTC) + timedelta(minutes=3, seconds=30)).isoformat()
    assert ">2 h 5 min ago</time>" in ago(past)
    assert ">in 3 min</time>" in ago(coming)
    assert ago(None) == NOTHING


def test_what_comes_from_outside_is_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    for shown in (shortened(hostile, 10), shortened(hostile, 1_000)):
        assert isinstance(shown, Markup)
        assert "<script" not in shown
    assert not isinstance(cell(hostile), Markup)
    assert cell({"a": [2**70, None]}) == '{"a":[1180591620717411303424,null]}'
    assert (cell(None), cell("text")) == ("", "text")
