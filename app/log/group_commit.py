"""Group commit: all arrivals that wait go into one transaction, and are answered after it.

One batch is on its way to the disk at a time; meanwhile the next one gathers. So the
price of an fsync is shared by all who wait for it, and nobody waits when the disk is idle.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Protocol, TypeVar

import structlog

from app.log.backpressure import WORK_S, rest_s
from app.model import Arrival, Outcome
from app.store.protocol import LogUnavailableError

Append = Callable[[Sequence[Arrival]], Awaitable[list[Outcome]]]
"""Makes a batch durable."""


class Waiter(Protocol):
    """Who waits for the outcome of an arrival: a future, or whatever is told like one."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, outcome: Outcome, /) -> None:
        """It is durable."""

    def set_exception(self, error: Exception, /) -> None:
        """It is not stored."""


Waiting = tuple[Arrival, Waiter]

T = TypeVar("T")

log = structlog.get_logger("log")

WAITING_MAX = 10_000
WAITING_BYTES_MAX = 32 * 1024 * 1024
BATCH_MAX = 2_000
BATCH_BYTES_MAX = 4 * 1024 * 1024

# A disk slower than this is worth a short wait for company: for those who were there last time.
_SLOW_DISK_S = 0.004
_RECENT_COMMITS = 16


class LogFullError(LogUnavailableError):
    """More waits for the disk than the log may hold in memory."""


class GroupCommit:
    """The queue in front of the log. Lives on the event loop; `append` does the writing."""

    def __init__(
        self,
        append: Append,
        *,
        after_commit: Callable[[Sequence[Outcome]], Awaitable[None]] | None = None,
    ) -> None:
        """`after_commit` is awaited with each batch's outcomes once the senders are told."""
        self._append = append
        self._after_commit = after_commit
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._wake: asyncio.Future[None] | None = None
        self._wanted = 1
        """How many are to wait before the waking is due."""
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False
        self._commits_s: deque[float] = deque(maxlen=_RECENT_COMMITS)
        self._disk_s = 0.0
        self._company = 0
        self._rested_at = 0.0
        self.rest_share = 0.0
        """The share of time in which nothing is committed; see `app.log.backpressure`."""

    @property
    def waiting(self) -> int:
        """Arrivals that are not on their way to the disk yet."""
        return len(self._waiting)

    @property
    def commit_s(self) -> float:
        """Seconds that the last commit took."""
        return self._commits_s[-1] if self._commits_s else 0.0

    def start(self) -> None:
        """Begin to commit what is submitted."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="group commit")

    async def stop(self) -> None:
        """Commit what waits, answer it, and end."""
        self._is_closing = True
        self._poke()
        if self._task is not None:
            await self._task

    def submit(self, arrival: Arrival) -> asyncio.Future[Outcome]:
        """The outcome of `arrival`, available once it is durable.

        Raises LogFullError at once when too much waits already. The future raises
        LogUnavailableError when the store could not take the batch.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.enqueue(arrival, future)
        return future

    def enqueue(self, arrival: Arrival, waiter: Waiter) -> None:
        """Tell `waiter` the outcome of `arrival` once it is durable; raises as `submit` does."""
        size = len(arrival.body)
        if len(self._waiting) >= WAITING_MAX or (
            self._waiting and self._waiting_bytes + size > WAITING_BYTES_MAX
        ):
            raise LogFullError(
                f"{len(self._waiting)} callbacks ({self._waiting_bytes} bytes) wait for the disk"
            )
        self._waiting.append((arrival, waiter))
        self._waiting_bytes += size
        if len(self._waiting) >= self._wanted:
            self._poke()

    def _poke(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._is_closing:
                    return
                await self._until(1)
            if not self._is_closing:
                await self._rest()
                await self._gather()
            await self._commit(self._take())

    async def _until(self, wanted: int, timeout_s: float | None = None) -> None:
        """Sleep until `wanted` arrivals wait, the time is up, or the log is to end."""
        loop = asyncio.get_running_loop()
        self._wake, self._wanted = loop.create_future(), wanted
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._poke)
        await self._wake
        self._wake, self._wanted = None, 1
        if timer is not None:
            timer.cancel()

    async def _rest(self) -> None:
        if self.rest_share:
            seconds = rest_s(min(perf_counter() - self._rested_at, 2 * WORK_S), self.rest_share)
            if seconds:
                await asyncio.sleep(seconds)
                self._rested_at = perf_counter()

    async def _gather(self) -> None:
        """On a slow disk, wait a moment for those who were just answered to call again.

        Without this, a few early ones take a whole slow commit for themselves, and everyone
        else waits for two. Never longer than a commit takes, and only while fewer wait than
        were there at the last one: a lone sender is never kept waiting.
        """
        if self._disk_s < _SLOW_DISK_S:
            return
        if len(self._waiting) < self._company:
            await self._until(self._company, timeout_s=self._disk_s)

    def _take(self) -> list[Waiting]:
        """The next batch: the oldest arrivals within the bounds, at least one if any waits."""
        waiting = self._waiting
        if len(waiting) <= BATCH_MAX and self._waiting_bytes <= BATCH_BYTES_MAX:
            self._waiting, self._waiting_bytes = [], 0
            return waiting
        count = size = 0
        for arrival, _ in waiting[:BATCH_MAX]:
            size += len(arrival.body)
            if count and size > BATCH_BYTES_MAX:
                size -= len(arrival.body)
                break
            count += 1
        self._waiting, self._waiting_bytes = waiting[count:], self._waiting_bytes - size
        return waiting[:count]

    async def _commit(self, batch: list[Waiting]) -> None:
        started = perf_counter()
        try:
            outcomes = await self._append([arrival for arrival, _ in batch])
        except Exception as error:  # whatever it was, each sender must hear of it
            for _, waiter in batch:
                _tell(waiter, waiter.set_exception, error)
            return
        self._commits_s.append(perf_counter() - started)
        # The quickest of the last ones: the others waited for the processor, not for the disk.
        self._disk_s = min(self._commits_s)
        self._company = len(batch) + len(self._waiting)
        for (_, waiter), outcome in zip(batch, outcomes, strict=True):
            _tell(waiter, waiter.set_result, outcome)
        if self._after_commit is not None:
            await self._after_commit(outcomes)


def _tell(waiter: Waiter, tell: Callable[[T], None], what: T) -> None:
    """Tell one of many, whose trouble must not become that of the others."""
    if waiter.done():  # a sender that hung up is stored all the same
        return
    try:
        tell(what)
    except Exception:
        log.exception("a sender could not be answered")
