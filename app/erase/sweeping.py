"""Carries erasures out, one after another, in portions that give way to callbacks."""

import asyncio
from collections.abc import Awaitable, Callable
from time import time_ns

import structlog

from app.crash_points import reach
from app.store.erasures import EXPIRY, PERSON, ErasureRow
from app.store.protocol import Store, StoreUnavailableError

POLL_S = 5.0
"""How long to wait for a request before looking anyway: another replica may have taken it."""

PAUSE_S = 0.005
BUSY_PAUSE_S = 0.1
"""Between portions, as long as callbacks wait for the disk."""

IDLE_S = 0.1
"""Before looking again whether something else has happened that has to be first."""

PATIENCE_S = 60.0

log = structlog.get_logger("erase")


class Sweeping:
    """Runs for as long as the service does; one replica at a time has something to do."""

    def __init__(
        self,
        store: Store,
        *,
        waiting: Callable[[], int],
        wake_worker: Callable[[], None],
        drop_files: Callable[[], Awaitable[None]],
    ) -> None:
        """`waiting`: how many callbacks wait for the disk.

        `drop_files` drops files that were made of what is erased.
        """
        self._drop_files = drop_files
        self._store = store
        self._waiting = waiting
        self._wake_worker = wake_worker
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """Say that an erasure was asked for."""
        self._asked.set()

    async def run(self) -> None:
        """Carry out what there is, and what comes, until cancelled."""
        while True:
            self._asked.clear()
            try:
                async with self._store.erasures.held() as is_ours:
                    while is_ours and (row := await self._store.erasures.unfinished()):
                        await self._carry_out(row)
            except StoreUnavailableError as error:
                log.warning("an erasure waits for the database", reason=str(error))
            try:
                async with asyncio.timeout(POLL_S):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def _carry_out(self, row: ErasureRow) -> None:
        loop = asyncio.get_running_loop()
        log.info("erasing", erasure_id=row.erasure_id, kind=row.kind, step=row.at.step)
        moved_s = loop.time()
        while row.finished_ms is None:
            if row.at.step == "events" and row.kind != EXPIRY:
                # After all that files and tables are made of; again after a crash.
                await self._drop_files()
                if row.kind == PERSON and row.at.after == []:
                    await self._store.outbox.ask_all_anew(time_ns() // 1_000_000)
            moved = await self._store.erasures.advance(row, time_ns() // 1_000_000)
            reach("erasure portion")
            if moved != row:
                row, moved_s = moved, loop.time()
                await asyncio.sleep(BUSY_PAUSE_S if self._waiting() else PAUSE_S)
                continue
            self._wake_worker()
            await asyncio.sleep(IDLE_S)
            if loop.time() - moved_s > PATIENCE_S:
                log.warning("an erasure does not move", erasure_id=row.erasure_id, step=row.at.step)
                moved_s = loop.time()
        log.info("erased", erasure_id=row.erasure_id, kind=row.kind, counts=row.counts)
