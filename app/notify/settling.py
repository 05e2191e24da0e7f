"""Records what came of tries: all that ended meanwhile together, in one transaction."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from app.store.outbox import Outbox
from app.store.outbox_rows import SettledTry
from app.store.protocol import StoreUnavailableError

PAUSE_S = 0.5
AT_ONCE = 1_000

log = structlog.get_logger("dispatcher")


class _Waiting(NamedTuple):
    one: SettledTry
    recorded: asyncio.Future[None]


class Settling:
    """A group commit for tries, as callbacks have one."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: list[_Waiting] = []
        self._news = asyncio.Event()

    def record(self, one: SettledTry) -> "asyncio.Future[None]":
        """Have a try recorded; done once it is. Where the store fails it is tried again."""
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(one, recorded))
        self._news.set()
        return recorded

    async def run(self) -> None:
        """Record until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.flush()

    async def flush(self) -> None:
        """Record all that waits."""
        while self._waiting:
            batch = self._waiting[:AT_ONCE]
            try:
                await self._outbox.settle([waiting.one for waiting in batch])
            except StoreUnavailableError as error:
                log.warning("what came of deliveries waits for the database", reason=str(error))
                await asyncio.sleep(PAUSE_S)
                continue
            del self._waiting[: len(batch)]
            _resolve(batch)


def _resolve(batch: Sequence[_Waiting]) -> None:
    for waiting in batch:
        if not waiting.recorded.done():
            waiting.recorded.set_result(None)
