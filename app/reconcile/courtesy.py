"""Reconciliation gives way to callbacks: they cannot wait, it can.

Reading a page takes some milliseconds of the event loop that acknowledges callbacks, and
more of the worker that projects both. While callbacks pour in, pages are read slowly.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

BUSY_RATE = 100.0
"""Callbacks a second from which on the collector is busy with them."""

PAUSE_S = 0.4
"""Between two pages while it is."""

_LOOK_S = 0.05


class Courtesy:
    """Paces the pages of all passes of this process."""

    def __init__(self, received: Callable[[], int]) -> None:
        """`received` counts what was logged since the start."""
        self._received = received
        self._count, self._at_s = received(), monotonic()

    async def give_way(self) -> None:
        """Return when the next page may be read."""
        now_s = monotonic()
        elapsed_s = max(now_s - self._at_s, _LOOK_S)
        rate = (self._received() - self._count) / elapsed_s
        self._count, self._at_s = self._received(), now_s
        if rate > BUSY_RATE:
            await asyncio.sleep(PAUSE_S)
