"""How much the log holds back so that the projection can keep up: a pure decision.

The worker has a lower priority than the receiver. Where both share a processor, a load
that lasts would starve it: callbacks would be acknowledged and never projected. A burst
is let through; after it, the log rests for a share of the time, in which the worker has
the processor. It rests in few long pauses rather than in many short ones, since each
change of hands costs both of them their caches.
"""

from app.burst import CAUGHT_UP_S, Burst

SHARE_MAX = 0.85
_SHARE_PER_LAG = 0.6
"""Share of rest for each second of lag beyond being caught up."""

WORK_S = 0.03
"""How long the log works between two rests."""


class Backpressure:
    """Decides on the log's share of rest from how far the projection is behind."""

    def __init__(self, burst_s: float) -> None:
        """`burst_s`: how old an unprojected callback may get before anything is held back."""
        self._burst = Burst(burst_s)

    def rest_share(self, lag_s: float, now_s: float) -> float:
        """The share of time to rest, 0 to `SHARE_MAX`, at a lag of `lag_s`.

        `now_s` is a clock of any origin.
        """
        if not self._burst.is_spent(lag_s, now_s):
            return 0.0
        return min(SHARE_MAX, max(0.0, lag_s - CAUGHT_UP_S) * _SHARE_PER_LAG)


def rest_s(worked_s: float, share: float) -> float:
    """Seconds to rest now, after work for `worked_s`, so that `share` of the time is rest."""
    return worked_s * share / (1 - share) if worked_s >= WORK_S else 0.0
