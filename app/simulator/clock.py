"""The clock of a simulated Edges, which tests may start elsewhere, speed up, stop and move on."""

import asyncio
from datetime import UTC, datetime
from time import monotonic


class Clock:
    """Goes `rate` seconds in a real one; 0 stops it, so that it moves only when moved on.

    Schedules, the budget of requests, cursors and archiving go by it. Sending does not:
    delays, retries and paces are in real seconds.
    """

    def __init__(self, *, rate: float = 1.0, starts_at: datetime | None = None) -> None:
        self._rate = rate
        self._base_s = (starts_at or datetime.now(UTC)).timestamp()
        self._based_at = monotonic()
        self._moved = asyncio.Event()

    @property
    def rate(self) -> float:
        """Its seconds in a real one."""
        return self._rate

    def now_s(self) -> float:
        """The time as Unix time in seconds."""
        return self._base_s + (monotonic() - self._based_at) * self._rate

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.now_s(), UTC)

    def move_to(self, at_s: float) -> None:
        """Move on to that time, if it is not past."""
        self._rebase(max(at_s, self.now_s()), self._rate)

    def set_rate(self, rate: float) -> None:
        """Go on from now at another rate."""
        self._rebase(self.now_s(), rate)

    async def wait_until(self, at_s: float) -> None:
        """Return when that time has come, by itself or because the clock was moved."""
        while (left_s := at_s - self.now_s()) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(left_s / self._rate if self._rate else None):
                    await moved.wait()
            except TimeoutError:
                continue

    def _rebase(self, base_s: float, rate: float) -> None:
        self._base_s, self._based_at, self._rate = base_s, monotonic(), rate
        self._moved.set()
        self._moved = asyncio.Event()
