"""How many callbacks came lately: counts over short spans of time, the last few minutes of them."""

from collections import deque

SPAN_S = 2
SPANS = 150
"""Five minutes."""


class RecentCounts:
    """What was counted in each of the last `SPANS` spans. Times are of one clock, in seconds."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque(maxlen=SPANS + 1)

    def add(self, count: int, now_s: float) -> None:
        """Count so many more."""
        span = int(now_s // SPAN_S)
        if self._counts and self._counts[-1][0] == span:
            self._counts[-1] = (span, self._counts[-1][1] + count)
        else:
            self._counts.append((span, count))

    def list(self, now_s: float) -> list[int]:
        """The counts of all spans that are over, oldest first; always `SPANS` of them."""
        counted = dict(self._counts)
        last = int(now_s // SPAN_S)
        return [counted.get(span, 0) for span in range(last - SPANS, last)]
