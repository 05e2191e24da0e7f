"""Backpressure: a burst goes through, a load that lasts is held back, and let go again."""

import pytest

from app.log.backpressure import LAG_WANTED_S, SHARE_MAX, WORK_S, Backpressure, rest_s


def test_a_burst_is_let_through() -> None:
    backpressure = Backpressure(burst_s=5)
    assert [backpressure.rest_share(lag_s) for lag_s in (0, 1, 3, 4.9)] == [0, 0, 0, 0]


def test_after_a_burst_the_log_rests_until_all_is_projected() -> None:
    backpressure = Backpressure(burst_s=5)
    shares = [backpressure.rest_share(lag_s) for lag_s in (5, 1.5, 1, LAG_WANTED_S, 0.1, 3)]
    assert shares[0] > shares[1] > shares[2] > 0
    assert shares[3:] == [0, 0, 0]


def test_the_log_never_rests_altogether() -> None:
    assert Backpressure(burst_s=0).rest_share(10_000) == SHARE_MAX < 1


def test_rests_are_few_and_of_the_right_length() -> None:
    assert rest_s(WORK_S / 2, 0.5) == 0
    assert rest_s(0.04, 0.5) == pytest.approx(0.04)
    assert rest_s(0.03, 0.75) == pytest.approx(0.09)
