"""PostgreSQL as the service holds it: a connection that appends, one that listens, a pool."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from app.erasing import Tombstones
from app.model import Arrival, Outcome, Quarantined
from app.store.admitting import admit
from app.store.erasures import without_erased
from app.store.migrations import PARTS
from app.store.postgres.api_keys import PostgresApiKeys
from app.store.postgres.driver import (
    CHANNEL,
    EVENTS_CHANNEL,
    OUTAGE,
    STATEMENT_TIMEOUT_S,
    Connection,
    check_server,
    connect,
    outages,
    reason,
)
from app.store.postgres.erasures import PostgresErasures
from app.store.postgres.export_jobs import PostgresExportJobs
from app.store.postgres.log import PostgresLog
from app.store.postgres.marks import PostgresMarks
from app.store.postgres.migrations import migrate
from app.store.postgres.outbox import PostgresOutbox
from app.store.postgres.reader import PostgresReader
from app.store.postgres.schedules import PostgresSchedules
from app.store.protocol import LogUnavailableError, Marks, StoreUnavailableError
from app.store.rows import ScheduleRow

T = TypeVar("T")

NOTIFY_S = 0.05
"""At most one wake-up in so many seconds: a NOTIFY makes all commits of the database queue."""

RECONNECT_S = 1.0

log = structlog.get_logger("store")


class PostgresStore:
    """The database, shared with other replicas."""

    def __init__(
        self, url: str, *, on_news: Callable[[], None], on_events: Callable[[], None] = lambda: None
    ) -> None:
        """`on_news` is called when any replica has logged something, `on_events` when one told."""
        self.reader = PostgresReader(url)
        self.description = "PostgreSQL"
        self._url = url
        self._on_news = on_news
        self._on_events = on_events
        self._log = PostgresLog(url)
        self._schedules = PostgresSchedules(url)
        self._marks = PostgresMarks(url)
        self.exports = PostgresExportJobs(url)
        self.api_keys = PostgresApiKeys(url)
        self.outbox = PostgresOutbox(url)
        self.erasures = PostgresErasures(url, self.outbox)
        self._tasks: list[asyncio.Task[None]] = []
        self._has_news = asyncio.Event()

    async def open(self) -> None:
        """Connect, check that this is a server to write to, and migrate."""
        with outages():
            connection = await connect(self._url)
            try:
                self.description = f"PostgreSQL {await check_server(connection)}"
                await migrate(connection, *PARTS)
            finally:
                await connection.close(timeout=STATEMENT_TIMEOUT_S)
        await self.reader.open()
        await self.erasures.load()
        self._tasks = [asyncio.create_task(self._listen_and_tell(), name="notifications")]

    async def close(self) -> None:
        """Let go of all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.reader.close()
        await self._log.close()
        await self._schedules.close()
        await self._marks.close()
        await self.exports.close()
        await self.api_keys.close()
        await self.outbox.close()
        await self.erasures.close()

    async def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """One statement, committed when it is answered."""

        async def append(tombstones: Tombstones) -> list[Outcome]:
            if tombstones.are_none:
                return await self._log.append(arrivals, tombstones.version)
            admitted = admit(tombstones, arrivals)
            if not admitted.arrivals:
                await self._log.check(tombstones.version)  # some may have been lifted
                return admitted.outcomes([])
            return admitted.outcomes(await self._log.append(admitted.arrivals, tombstones.version))

        return await self._knowing(append)

    async def _knowing(self, write: Callable[[Tombstones], Awaitable[T]]) -> T:
        try:
            return await self.erasures.knowing(write)
        except LogUnavailableError:
            raise
        except StoreUnavailableError as error:
            raise LogUnavailableError(str(error)) from error

    async def after_commit(self) -> None:
        """Have the other replicas told, soon."""
        self._has_news.set()

    async def quarantine(self, item: Quarantined) -> str:
        """One statement."""

        async def keep(tombstones: Tombstones) -> str:
            body = tombstones.eraser.unread(item.body)
            kept = item if body is None else replace(item, body=body)
            return await self._log.quarantine(kept, tombstones.version)

        return await self._knowing(keep)

    async def release(self, quarantine_id: str) -> bool:
        """Drop an entry of the quarantine."""
        return await self._log.release(quarantine_id)

    async def seqs(self, run_uid: str, key: str) -> list[int]:
        """Where the log has the callback of this key, then its conflicts; [] if nowhere."""
        return await self.reader.seqs(run_uid, key)

    async def mark(self) -> Marks:
        """One transaction; nothing is written where nothing has changed."""
        return await self._marks.mark()

    async def sizes(self) -> Mapping[str, int]:
        """Tables with their indexes."""
        return await self.reader.sizes()

    async def save_schedules(self, rows: Sequence[ScheduleRow]) -> list[str]:
        """One transaction."""

        async def save(tombstones: Tombstones) -> list[str]:
            kept = [without_erased(tombstones.eraser, row) for row in rows]
            return await self._schedules.save(kept, tombstones.version)

        return await self._knowing(save)

    async def judge_schedule(
        self, uid: str, missed: Sequence[int], *, from_ms: int, judged_ms: int, now_ms: int
    ) -> bool:
        """One statement."""
        return await self._schedules.judge(
            uid, missed, from_ms=from_ms, judged_ms=judged_ms, now_ms=now_ms
        )

    async def take_turn(self, name: str, every_s: float) -> bool:
        """By the clock of the database."""
        return await self._schedules.take_turn(name, every_s)

    async def _listen_and_tell(self) -> None:
        """Wake-ups, in both directions over one connection, for as long as the store is open.

        What is missed while it is broken is found by polling.
        """
        while True:
            try:
                connection = await connect(self._url, timeout_s=STATEMENT_TIMEOUT_S)
                try:
                    # A cut is noticed by having something to tell.
                    connection.add_termination_listener(lambda _: self._has_news.set())
                    await connection.add_listener(CHANNEL, self._heard)
                    await connection.add_listener(EVENTS_CHANNEL, self._heard_events)
                    self._on_news()
                    await self._tell(connection)
                finally:
                    connection.terminate()
            except OUTAGE as error:
                log.warning("not listening for news", reason=reason(error))
            await asyncio.sleep(RECONNECT_S)

    async def _tell(self, connection: Connection) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            try:
                await connection.execute(f"NOTIFY {CHANNEL}")
            except OUTAGE:
                self._has_news.set()  # still to be told
                raise
            await asyncio.sleep(NOTIFY_S)

    def _heard(self, *_: object) -> None:
        self._on_news()

    def _heard_events(self, *_: object) -> None:
        self._on_events()
