"""When the next try is due, and when an endpoint is given up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.retries import (
    JITTER,
    RETRY_AFTER_MAX_S,
    is_to_be_disabled,
    next_try_ms,
)
from app.settings import DEFAULT_PAUSES_S

NOW = 1_800_000_000_000
CHANCE = st.floats(0, 1, exclude_max=True)
PAUSES = st.lists(st.floats(0.001, 10**6), max_size=12)


def test_nine_tries_take_about_three_days() -> None:
    for chance, days in ((0.0, 2.4), (0.5, 3.0), (0.999, 3.6)):
        now, tries = NOW, 1
        while (at := next_try_ms(
            tries, now, DEFAULT_PAUSES_S, retry_after_s=None, random=lambda: chance  # noqa: B023
        )) is not None:  # fmt: skip
            now, tries = at, tries + 1
        assert tries == 9
        assert (now - NOW) / 86_400_000 == pytest.approx(days, abs=0.03)


@given(PAUSES, st.integers(1, 20), CHANCE)
def test_a_pause_varies_by_a_fifth_until_all_tries_are_used_up(
    pauses_s: list[float], attempts: int, chance: float
) -> None:
    at = next_try_ms(attempts, NOW, pauses_s, retry_after_s=None, random=lambda: chance)
    if attempts > len(pauses_s):
        assert at is None
    else:
        pause_ms = pauses_s[attempts - 1] * 1000
        assert at is not None
        assert pause_ms * (1 - JITTER) - 1 <= at - NOW <= pause_ms * (1 + JITTER) + 1
        assert at > NOW


@given(st.integers(1, 8), CHANCE, st.floats(allow_nan=True, allow_infinity=True))
def test_a_receiver_is_left_alone_as_long_as_it_asks_up_to_a_day(
    attempts: int, chance: float, asked_s: float
) -> None:
    def at(retry_after_s: float | None) -> int:
        found = next_try_ms(
            attempts, NOW, DEFAULT_PAUSES_S, retry_after_s=retry_after_s, random=lambda: chance
        )
        assert found is not None
        return found

    unasked = at(None)
    if math.isnan(asked_s):
        assert at(asked_s) == unasked
    else:
        bounded_s = min(asked_s, RETRY_AFTER_MAX_S)
        assert at(asked_s) >= NOW + bounded_s * 1000
        assert at(asked_s) <= max(unasked, NOW + bounded_s * 1000 + 1)


def test_asking_for_patience_gives_no_further_tries() -> None:
    assert next_try_ms(9, NOW, DEFAULT_PAUSES_S, retry_after_s=60, random=lambda: 0.5) is None


def test_there_is_no_next_try_before_the_first() -> None:
    with pytest.raises(ValueError, match="0 tries"):
        next_try_ms(0, NOW, DEFAULT_PAUSES_S, retry_after_s=None, random=lambda: 0.5)


def test_an_endpoint_is_given_up_when_nothing_got_through_for_long() -> None:
    assert not is_to_be_disabled(None, NOW, 60)
    assert not is_to_be_disabled(NOW - 59_999, NOW, 60)
    assert is_to_be_disabled(NOW - 60_000, NOW, 60)
