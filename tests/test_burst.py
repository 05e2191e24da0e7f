"""A burst is spent by the lag it causes, and allowed again once the load has let up."""

from app.burst import CAUGHT_UP_S, Burst


def spent(burst: Burst, *lags_s: float) -> list[bool]:
    """The answers at these lags, a second apart."""
    return [burst.is_spent(lag_s, 100.0 + n) for n, lag_s in enumerate(lags_s)]


def test_it_is_spent_at_the_lag_allowed() -> None:
    assert spent(Burst(5), 0, 4.9, 5, 4) == [False, False, True, True]


def test_a_load_that_lasts_stays_one_while_it_is_kept_up_with() -> None:
    assert all(spent(Burst(3), 3, 0.1, 1, 0.1, 0.1, 1, CAUGHT_UP_S, 0.1, 0.1))


def test_after_a_calm_as_long_as_a_burst_it_is_allowed_again() -> None:
    assert spent(Burst(3), 3, 0.1, 0.1, 0.1) == [True, True, True, False]


def test_with_none_allowed_it_is_always_spent() -> None:
    assert spent(Burst(0), 0, 0, 1) == [True, True, True]
