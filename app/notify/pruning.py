"""Lets go of events and deliveries that are over, after the time that the settings say."""

import asyncio
from time import time_ns

import structlog

from app.store.protocol import Store, StoreUnavailableError

EVERY_S = 600.0
AT_ONCE = 1_000
PAUSE_S = 0.05
"""Between portions, so that deliveries go on meanwhile."""

_DAY_MS = 86_400_000

log = structlog.get_logger("outbox")


class Pruning:
    """Looks every so often; one replica at a time."""

    def __init__(self, store: Store, retention_days: float) -> None:
        self._store = store
        self._retention_ms = round(retention_days * _DAY_MS)

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            try:
                if await self._store.take_turn("pruning", EVERY_S):
                    await self.prune(time_ns() // 1_000_000)
            except StoreUnavailableError as error:
                log.warning("old events wait to be dropped", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def prune(self, now_ms: int) -> int:
        """Drop all that is older than is to be kept; how many rows."""
        total = 0
        while dropped := await self._store.outbox.prune(now_ms - self._retention_ms, limit=AT_ONCE):
            total += dropped
            await asyncio.sleep(PAUSE_S)
        if total:
            log.info("old events and deliveries dropped", rows=total)
        return total
