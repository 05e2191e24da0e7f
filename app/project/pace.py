"""How hard the projection works while callbacks pour in: a pure decision.

On a processor of its own it works as fast as it can. Where it shares one with the
receiver, a burst is acknowledged first and projected after it, since a sender may give
up and a reader can wait; a load that lasts is projected as it comes.
"""

_CONTENDED_RATIO = 1.3
_BURST_SHARE = 0.05
_CAUGHT_UP_S = 0.5
PAUSE_MAX_S = 3.0


class Pace:
    """Decides on the pause after each batch."""

    def __init__(self, burst_s: float) -> None:
        """`burst_s`: how old an unprojected callback may get before projecting gets its share."""
        self._burst_s = burst_s
        self._is_burst_spent = False

    def pause_s(self, *, lag_s: float, work_s: float, compute_s: float, cpu_s: float) -> float:
        """Seconds to rest after a batch.

        `lag_s` is the age of its oldest callback, `work_s` what the batch took, `compute_s`
        and `cpu_s` the wall and processor time of a part of it that never waits for the disk.
        """
        is_contended = compute_s > cpu_s * _CONTENDED_RATIO
        if lag_s >= self._burst_s:
            self._is_burst_spent = True
        elif lag_s < _CAUGHT_UP_S and not is_contended:
            self._is_burst_spent = False
        if not is_contended or self._is_burst_spent:
            return 0.0
        return min(work_s * (1 - _BURST_SHARE) / _BURST_SHARE, PAUSE_MAX_S)
