"""How hard the projection works while callbacks pour in: a pure decision.

On a processor of its own it works as fast as it can. Where it shares one with the
receiver, a burst is acknowledged first and projected after it, since a sender may give
up and a reader can wait; a load that lasts is projected as it comes.
"""

from app.burst import Burst

_CONTENDED_RATIO = 1.3
_BURST_SHARE = 0.05
PAUSE_MAX_S = 3.0


class Pace:
    """Decides on the pause after each batch."""

    def __init__(self, burst_s: float) -> None:
        """`burst_s`: how old an unprojected callback may get before projecting gets its share."""
        self._burst = Burst(burst_s)

    def pause_s(
        self, *, now_s: float, lag_s: float, work_s: float, compute_s: float, cpu_s: float
    ) -> float:
        """Seconds to rest after a batch, at a clock of `now_s`.

        `lag_s` is the age of its oldest callback, `work_s` what the batch took, `compute_s`
        and `cpu_s` the wall and processor time of a part of it that never waits for the disk.
        """
        is_spent = self._burst.is_spent(lag_s, now_s)
        if is_spent or compute_s <= cpu_s * _CONTENDED_RATIO:
            return 0.0
        return min(work_s * (1 - _BURST_SHARE) / _BURST_SHARE, PAUSE_MAX_S)
