"""One thread for one connection: whatever blocks on the disk happens there."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class StoreThread:
    """Runs functions one after another on a thread of its own, named `name`."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """The result of `function(*args)`, called on the thread. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    async def close(self, last: Callable[[], None]) -> None:
        """Run `last`, then end the thread."""
        await self.run(last)
        self._executor.shutdown()
