"""Events as they happen, for those who follow them: one reading of the outbox for all.

A follower has a place in the order of events. What is newer than its place comes from
memory while it keeps up, and from the outbox when it does not, so that a slow one costs
nothing but its own time, and nobody misses an event.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import structlog

from app import observe
from app.canonical import dumps
from app.event import PROGRESS
from app.record import Record, run_record
from app.store.outbox_rows import NumberedEvent
from app.store.protocol import StoreUnavailableError
from app.store.views import RunFilter, RunView

REMEMBERED = 5_000
REMEMBERED_CHARACTERS = 16 * 1024 * 1024
"""An event carries the input that failed, of whatever size; what is older comes from the outbox."""

READ_AT_ONCE = 500
POLL_S = 1.0
PROGRESS_S = 0.5
"""Progress of a run is told at most once in so many seconds."""

PROGRESS_RUNS_MAX = 200
PROGRESS_TOLD_MAX = 2_000
"""Pieces of progress told a second, to all followers together: with many it comes less often."""

_LOOK_BACK_MS = 10_000

log = structlog.get_logger("events")


class Readable(Protocol):
    """What is read of the store."""

    async def events(self, *, after_no: int, limit: int) -> list[NumberedEvent]:
        """Events after the one with this number, in order."""

    async def last_event_no(self) -> int:
        """The number of the last event."""

    async def runs(
        self, chosen: RunFilter, *, sort: str, after: tuple[int, str] | None, limit: int
    ) -> list[RunView]:
        """Runs in an order."""


class Progress(NamedTuple):
    """How a run stands, told in between."""

    run_uid: str
    data: bytes
    """The run as JSON."""


class Followed(NamedTuple):
    """What a follower gets next."""

    events: list[NumberedEvent]
    progress: list[Progress]


class _Follower:
    def __init__(self, types: Collection[str] | None, run_uid: str | None) -> None:
        self.types = types
        self.run_uid = run_uid
        self.news = asyncio.Event()
        self.progress: dict[str, Progress] = {}

    @property
    def wants_progress(self) -> bool:
        return self.types is None or PROGRESS in self.types

    def wants(self, one: NumberedEvent) -> bool:
        is_of_type = self.types is None or one.event.type in self.types
        return is_of_type and self.run_uid in (None, one.event.subject)

    def tell(self, progress: Progress) -> bool:
        """Whether it wants to know; it gets only the latest of each run."""
        is_told = self.wants_progress and self.run_uid in (None, progress.run_uid)
        if is_told:
            self.progress[progress.run_uid] = progress
            self.news.set()
        return is_told


class LiveEvents:
    """Reads new events once, and hands them to any number of followers."""

    def __init__(self, reader: Readable) -> None:
        self._reader = reader
        self._recent: deque[NumberedEvent] = deque()
        self._recent_characters = 0
        self._last_no = 0
        self._has_begun = asyncio.Event()
        self._followers: set[_Follower] = set()
        self._news = asyncio.Event()
        self._told: dict[str, bytes] | None = None
        """What was told of runs that move; None until somebody follows."""
        self._is_closed = False

    @property
    def followers(self) -> int:
        """How many follow."""
        return len(self._followers)

    def close(self) -> None:
        """End all streams, so that the server need not wait for them."""
        self._is_closed = True
        self._has_begun.set()
        for follower in self._followers:
            follower.news.set()

    def wake(self) -> None:
        """Say that there are new events in the outbox."""
        self._news.set()

    async def run(self) -> None:
        """Read new events until cancelled."""
        progress = asyncio.create_task(self._run_progress(), name="progress")
        try:
            await self._until_it_works(self._begin)
            while True:
                self._news.clear()
                await self._until_it_works(self._read)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), POLL_S)
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)

    async def _until_it_works(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except StoreUnavailableError as error:
                log.warning("live events wait for the database", reason=str(error))
                await asyncio.sleep(POLL_S)
            else:
                return

    async def _begin(self) -> None:
        if not self._has_begun.is_set():
            self._last_no = await self._reader.last_event_no()
        self._has_begun.set()

    async def _read(self) -> None:
        while found := await self._reader.events(after_no=self._last_no, limit=READ_AT_ONCE):
            self._remember(found)
            self._last_no = found[-1].event_no
            for follower in self._followers:
                follower.news.set()

    def _remember(self, found: Sequence[NumberedEvent]) -> None:
        recent = self._recent
        recent.extend(found)
        self._recent_characters += sum(len(one.event.data) for one in found)
        while len(recent) > REMEMBERED or self._recent_characters > REMEMBERED_CHARACTERS:
            self._recent_characters -= len(recent.popleft().event.data)

    # --------------------------------------------------------------- following

    async def follow(
        self, after_no: int | None, types: Collection[str] | None, run_uid: str | None = None
    ) -> AsyncGenerator[Followed, None]:
        """Events of these types (None: all) and this run after a number, and from then on.

        From now on if `after_no` is None. Ends with the service. Raises
        StoreUnavailableError.
        """
        follower = _Follower(types, run_uid)
        self._followers.add(follower)
        observe.SSE_CLIENTS.set(len(self._followers))
        try:
            await self._has_begun.wait()  # until then it is not known which events are old
            place = self._last_no if after_no is None else after_no
            while not self._is_closed:
                follower.news.clear()
                found = await self._after(place)
                if found:
                    place = found[-1].event_no
                wanted = [one for one in found if follower.wants(one)]
                progress, follower.progress = list(follower.progress.values()), {}
                if wanted or progress:
                    yield Followed(wanted, progress)
                elif not (found or self._is_closed):
                    await follower.news.wait()
        finally:
            self._followers.discard(follower)
            observe.SSE_CLIENTS.set(len(self._followers))

    async def _after(self, place: int) -> list[NumberedEvent]:
        """The next events after a place: from memory if all of them are there."""
        if place >= self._last_no:
            return []
        recent = self._recent
        if recent and recent[0].event_no <= place + 1:
            begin = bisect_right(recent, place, key=lambda one: one.event_no)
            return [recent[at] for at in range(begin, min(len(recent), begin + READ_AT_ONCE))]
        return await self._reader.events(after_no=place, limit=READ_AT_ONCE)

    # ---------------------------------------------------------------- progress

    async def _run_progress(self) -> None:
        since_ms, pause_s = 0, PROGRESS_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = PROGRESS_S
            if not any(follower.wants_progress for follower in self._followers):
                self._told = None
                since_ms = 0
                continue
            try:
                since_ms, told = await self._tell_progress(since_ms)
                pause_s = max(PROGRESS_S, told / PROGRESS_TOLD_MAX)
            except StoreUnavailableError as error:
                log.warning("progress waits for the database", reason=str(error))

    async def _tell_progress(self, since_ms: int) -> tuple[int, int]:
        """Tell of runs that changed lately.

        When the latest of them was heard of, and how many pieces were told to followers.
        """
        runs = await self._reader.runs(
            RunFilter(), sort="-updated", after=None, limit=PROGRESS_RUNS_MAX
        )
        moving = [run for run in runs if run.last_received_ms >= since_ms - _LOOK_BACK_MS]
        before, self._told = self._told, {}
        told = 0
        for run in moving:
            data = dumps(progress_record(run))
            self._told[run.run_uid] = data
            if before is None or before.get(run.run_uid) == data:
                continue  # the first time, only what changes from now on is of interest
            progress = Progress(run.run_uid, data)
            told += sum(follower.tell(progress) for follower in self._followers)
        return max((run.last_received_ms for run in runs), default=0), told


def progress_record(run: RunView) -> Record:
    """What is told of a run in between."""
    record = run_record(run)
    names = ("run_uid", "action_name", "scheduled_run_uid", "status", "completeness", "counts")
    return {name: record[name] for name in names}
