"""Backpressure: a burst goes through, a load that lasts is held back, and let go again."""

import pytest

from app.burst import CAUGHT_UP_S
from app.log.backpressure import SHARE_MAX, WORK_S, Backpressure, rest_s


def shares(backpressure: Backpressure, *lags_s: float) -> list[float]:
    """The shares at these lags, a second apart."""
    return [backpressure.rest_share(lag_s, 100.0 + n) for n, lag_s in enumerate(lags_s)]


def test_a_burst_is_let_through() -> None:
    assert shares(Backpressure(burst_s=5), 0, 1, 3, 4.9) == [0, 0, 0, 0]


def test_after_a_burst_the_log_rests_the_more_the_further_the_projection_is_behind() -> None:
    found = shares(Backpressure(burst_s=5), 5, 1.5, 1, CAUGHT_UP_S, 0.1, 3)
    assert found[0] > found[1] > found[2] > 0
    assert found[3:5] == [0, 0]
    assert found[5] > 0


def test_a_load_that_let_up_may_burst_again() -> None:
    assert shares(Backpressure(burst_s=3), 3, 0, 0, 0, 2.9)[-1] == 0


def test_the_log_never_rests_altogether() -> None:
    assert Backpressure(burst_s=0).rest_share(10_000, 100.0) == SHARE_MAX < 1


def test_rests_are_few_and_of_the_right_length() -> None:
    assert rest_s(WORK_S / 2, 0.5) == 0
    assert rest_s(0.04, 0.5) == pytest.approx(0.04)
    assert rest_s(0.03, 0.75) == pytest.approx(0.09)
