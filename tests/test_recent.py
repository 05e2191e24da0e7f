"""Counts of the last minutes."""

from app.recent import SPAN_S, SPANS, RecentCounts


def test_counts_stand_in_the_span_in_which_they_came() -> None:
    recent = RecentCounts()
    assert recent.list(1_000) == [0] * SPANS
    recent.add(3, 1_000)
    recent.add(4, 1_000 + SPAN_S / 2)
    recent.add(5, 1_000 + 3 * SPAN_S)
    assert recent.list(1_000) == [0] * SPANS, "a span that goes on is not told"
    assert recent.list(1_000 + 4 * SPAN_S)[-4:] == [7, 0, 0, 5]


def test_what_is_older_than_the_last_span_is_forgotten() -> None:
    recent = RecentCounts()
    for second in range(0, 10 * SPANS * SPAN_S, SPAN_S):
        recent.add(1, second)
    now_s = 10 * SPANS * SPAN_S
    assert recent.list(now_s) == [1] * SPANS
    assert recent.list(now_s + SPANS * SPAN_S) == [0] * SPANS
    assert len(recent._counts) <= SPANS + 1
