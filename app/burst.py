"""Telling a burst from a load that lasts, by how far the projection is behind.

A burst is acknowledged first and projected after it. A load that lasts longer than a
burst may is projected as it comes, until it has let up: until the projection was never
behind for as long as a burst may last.
"""

CAUGHT_UP_S = 0.5
"""A lag below this is none: a batch on its way."""


class Burst:
    """Watches the lag. Each owner feeds it with what it sees."""

    def __init__(self, allowed_s: float) -> None:
        """`allowed_s`: how old an unprojected callback may get before the burst is spent."""
        self._allowed_s = allowed_s
        self._is_spent = False
        self._behind_at_s = 0.0

    def is_spent(self, lag_s: float, now_s: float) -> bool:
        """Whether projecting must get its share, at a lag of `lag_s` and a clock of `now_s`."""
        if lag_s >= CAUGHT_UP_S:
            self._behind_at_s = now_s
        elif now_s - self._behind_at_s >= self._allowed_s:
            self._is_spent = False
        if lag_s >= self._allowed_s:
            self._is_spent = True
        return self._is_spent
