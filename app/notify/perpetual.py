"""Work in the background that goes on whatever happens."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

PAUSE_S = 1.0
"""Before it is begun again."""

log = structlog.get_logger("service")


async def perpetual(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run until cancelled. What nobody foresaw is logged, and `run` begun again.

    Else a task would end without a word, and events or deliveries with it until the next start.
    """
    while True:
        try:
            await run()
        except Exception as error:
            # Not log.exception, which shows variables: there may be secrets in them.
            trace = traceback.format_exception(error)
            log.error("failed unexpectedly, is begun again", task=name, trace=trace)  # noqa: TRY400
        await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def in_background(name: str, run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Have something run until the block ends, and begin anew where it fails unforeseen."""
    task = asyncio.create_task(perpetual(name, run), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
