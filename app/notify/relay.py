"""Takes events over from where they were raised, and tells of them: see `app.store.outbox`."""

import asyncio
import contextlib
from collections.abc import Callable
from time import time_ns

import structlog

from app.notify.addressing import Addressing
from app.store.outbox import Outbox, Relayed
from app.store.protocol import StoreUnavailableError

POLL_S = 1.0
"""How long to wait for a wake-up before looking anyway."""

log = structlog.get_logger("relay")


class Relay:
    """Runs for as long as the service does."""

    def __init__(
        self, outbox: Outbox, addressing: Addressing, on_relayed: Callable[[Relayed], None]
    ) -> None:
        """`on_relayed` hears what was taken over, in order."""
        self._outbox = outbox
        self._addressing = addressing
        self._on_relayed = on_relayed
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that events were raised."""
        self._news.set()

    async def run(self) -> None:
        """Take over events until cancelled."""
        while True:
            try:
                while not await self.relay_once():
                    pass
            except StoreUnavailableError as error:
                log.warning("events wait for the database", reason=str(error))
                await asyncio.sleep(POLL_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), POLL_S)

    async def relay_once(self) -> bool:
        """Take over a portion; whether that was all. Raises StoreUnavailableError."""
        self._news.clear()
        relayed = await self._outbox.relay(self._addressing.addressed, time_ns() // 1_000_000)
        if relayed.events:
            self._on_relayed(relayed)
        return relayed.is_all
