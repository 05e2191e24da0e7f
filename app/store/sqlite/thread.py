"""One thread for one connection: whatever blocks on the disk happens there."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Call(NamedTuple):
    function: Callable[..., Any]
    arguments: tuple[object, ...]
    future: asyncio.Future[Any]


class StoreThread:
    """Runs functions one after another on a thread of its own, named `name`."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def run(self, function: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        """The result of `function(*arguments)`, called on the thread. Raises what it raises.

        The call is on its way when this returns, awaited or not.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put(_Call(function, arguments, future))
        return future

    async def close(self, last: Callable[[], None]) -> None:
        """Run `last`, then end the thread."""
        await self.run(last)
        self._calls.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            tell = call.future.get_loop().call_soon_threadsafe
            try:
                result = call.function(*call.arguments)
            except Exception as error:  # told to the caller, whatever it is
                tell(_fail, call.future, error)
            else:
                tell(_resolve, call.future, result)


def _resolve(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():  # its caller may have gone
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
