"""Has runs expire of which nothing was heard for longer than is to be kept."""

import asyncio
from collections.abc import Callable
from time import time_ns

import structlog

from app.erase.asking import new_erasure
from app.store.erasures import EXPIRY
from app.store.protocol import Store, StoreUnavailableError

EVERY_S = 600.0
AT_ONCE = 100
PAUSE_S = 1.0
BY = "COLLECTOR_RUN_RETENTION_DAYS"

_DAY_MS = 86_400_000

log = structlog.get_logger("erase")


class Expiring:
    """Looks every so often; one replica at a time."""

    def __init__(self, store: Store, retention_days: float, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something to be carried out."""
        self._store = store
        self._retention_ms = round(retention_days * _DAY_MS)
        self._wake = wake

    async def run(self) -> None:
        """Have runs expire until cancelled."""
        while True:
            try:
                if await self._store.take_turn("expiring", EVERY_S):
                    await self.expire(time_ns() // 1_000_000)
            except StoreUnavailableError as error:
                log.warning("runs wait to expire", reason=str(error))
            await asyncio.sleep(EVERY_S)

    async def expire(self, now_ms: int) -> int:
        """Ask for the erasure of all runs that are silent for so long; how many."""
        total = 0
        while uids := await self._store.erasures.silent_runs(now_ms - self._retention_ms, AT_ONCE):
            for run_uid in uids:
                await new_erasure(self._store, EXPIRY, by=BY, run_uid=run_uid)
            total += len(uids)
            self._wake()
            await asyncio.sleep(PAUSE_S)
        if total:
            log.info("runs expire", runs=total)
        return total
