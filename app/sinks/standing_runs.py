"""Writes runs to standing sinks once they are complete, and again when they change.

A sink has a lane while something is due for it: its target stays open, and runs are written one
after another. What fails is tried again with growing pauses; a run that several replicas could
write is leased by one. Which runs are due follows from the events, each of which is looked at once.
"""

import asyncio
import contextlib
import json
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import random
from time import monotonic, time_ns
from uuid import uuid4

import structlog
from pydantic import ValidationError

from app import observe
from app.crash_points import reach
from app.event import EventType
from app.notify.retries import next_try_ms
from app.notify.sealing import Seal, SealError
from app.sinks.location import SinkError
from app.sinks.parts import Source, Target
from app.sinks.standing import (
    SinkConfig,
    opened_address,
    read_config,
    sealed_address,
    standing_location,
)
from app.sinks.targets import target_of
from app.sinks.writing import Outcome, write_run
from app.store.protocol import Store, StoreError, StoreUnavailableError
from app.store.sink_queue import SettledRun
from app.store.sink_rows import SinkRow, SinkRunRow
from app.store.views import RunFilter

POLL_S = 1.0
"""How long to wait for a wake-up before looking anyway."""
LANES = 4
"""Sinks that are written to at the same time."""
LEASE_S = 30.0
"""How long a run waits for others when the replica that wrote it died."""
RENEW_S = 10.0
OPEN_TIMEOUT_S = 30.0
WRITE_TIMEOUT_S = 3_600.0
"""Of a run. After it there is nobody at the other end."""
EVENTS_AT_ONCE = 500
RUNS_AT_ONCE = 500
_REST_S_MAX = 300.0

log = structlog.get_logger("sinks")


class StandingSinks:
    """All sinks of one service."""

    def __init__(
        self,
        store: Store,
        seal: Seal,
        result_keys: Sequence[str],
        *,
        event_types: Sequence[EventType],
        folder: Path | None,
        pauses_s: Sequence[float],
    ) -> None:
        """`event_types` have a run written; `pauses_s` are between the tries of one."""
        self._store = store
        self._outbox = store.outbox
        self._seal = seal
        self._result_keys = result_keys
        self._event_types = tuple(event_types)
        self._folder = folder
        self._pauses_s = pauses_s
        self._holder = str(uuid4())
        self._news = asyncio.Event()
        self._free = asyncio.Semaphore(LANES)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._rests: dict[str, tuple[float, float]] = {}
        """Of sinks that cannot be reached: until when they are left alone, and how long that is."""

    def wake(self) -> None:
        """Say that sinks changed, or that a run is to be written."""
        self._rests.clear()
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        try:
            while True:
                self._news.clear()
                try:
                    await self._look()
                except StoreUnavailableError as error:
                    log.warning("sinks wait for the database", reason=str(error))
                    await asyncio.sleep(POLL_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), POLL_S)
        finally:
            await self._end_lanes()

    async def _end_lanes(self) -> None:
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        self._lanes.clear()
        with contextlib.suppress(StoreUnavailableError):
            await self._outbox.release_runs(self._holder)

    async def _look(self) -> None:
        """Find out what is due, and see to it that it is written."""
        rows = await self._outbox.sinks()
        for row in rows:
            try:
                config = read_config(row.config)
            except ValidationError as error:  # it waits for whoever can
                reason = str(error.errors(include_input=False, include_url=False))
                log.error("a sink cannot be read", sink_id=row.sink_id, reason=reason)  # noqa: TRY400
                continue
            if not await self._ask_seen(row, config) or not await self._backfill(row, config):
                self._news.set()  # there is more
            if row.state == "active":
                await self._begin_lane(row, config)
        for sink_id in self._lanes.keys() - {row.sink_id for row in rows if row.state == "active"}:
            self._lanes[sink_id].cancel()

    # ---------------------------------------------------------- what is due

    async def _ask_seen(self, row: SinkRow, config: SinkConfig) -> bool:
        """Have the runs of new events written; whether these were all."""
        reader = self._store.reader
        last_no = await reader.last_event_no()
        if last_no <= row.seen_event_no:
            return True
        events = await reader.events(
            after_no=row.seen_event_no, limit=EVENTS_AT_ONCE, types=self._event_types
        )
        wanted = [
            one.event.run_uid
            for one in events
            if one.event.run_uid and await config.wants(one.event, self._has_input)
        ]
        is_all = len(events) < EVENTS_AT_ONCE
        seen_no = events[-1].event_no if events else last_no
        if is_all:  # and none up to there comes later: numbers can be seen in their order
            seen_no = max(seen_no, last_no)
        await self._outbox.ask_seen(row, wanted, seen_no, _now_ms())
        return is_all

    async def _has_input(self, run_uid: str, custom: tuple[tuple[str, str], ...]) -> bool:
        chosen = RunFilter(run_uids=(run_uid,), custom=custom)
        return bool(await self._store.reader.runs(chosen, sort="created", after=None, limit=1))

    async def _backfill(self, row: SinkRow, config: SinkConfig) -> bool:
        """Have runs written that had ended before; whether these were all."""
        if row.backfill_after is None:
            return True
        runs = await self._store.reader.runs_in_export_order(
            config.chosen_runs, after_uid=row.backfill_after, limit=RUNS_AT_ONCE
        )
        is_all = len(runs) < RUNS_AT_ONCE
        ended = [run.run_uid for run in runs if run.completeness != "open"]
        after = None if is_all else runs[-1].run_uid
        await self._outbox.ask_backfilled(row, ended, after, _now_ms())
        return is_all

    # -------------------------------------------------------------- writing

    async def _begin_lane(self, row: SinkRow, config: SinkConfig) -> None:
        known = self._lanes.get(row.sink_id)
        if known is not None and not known.done():
            return
        until, _ = self._rests.get(row.sink_id, (0.0, 0.0))
        if monotonic() < until or not await self._outbox.has_due_run(row.sink_id, _now_ms()):
            return
        lane = asyncio.create_task(self._lane(row, config), name=f"sink {row.sink_id}")
        self._lanes[row.sink_id] = lane
        lane.add_done_callback(lambda _: self._lanes.pop(row.sink_id, None))

    async def _lane(self, row: SinkRow, config: SinkConfig) -> None:
        """Write what is due for a sink."""
        async with self._free:
            try:
                while await self._stretch(row, config):
                    pass
            except StoreUnavailableError as error:
                log.warning("a sink waits for the database", sink_id=row.sink_id, reason=str(error))

    async def _stretch(self, row: SinkRow, config: SinkConfig) -> bool:
        """Write runs until none is due, or one fails; whether to go on with the next one."""
        run = await self._claimed(row)
        if run is None:
            return False
        is_open = False
        try:
            async with self._opened(row, config) as target:
                is_open = True
                self._rests.pop(row.sink_id, None)
                while run is not None:
                    await self._write(row, config, run, target)
                    run = await self._claimed(row)
        except StoreUnavailableError:  # ours: no fault of the sink
            raise
        except (SinkError, SealError, StoreError) as error:
            problem = str(error)
        except TimeoutError:
            problem = f"not done within {WRITE_TIMEOUT_S if is_open else OPEN_TIMEOUT_S:g} s"
        except Exception as error:
            # Not its text, nor its variables: nobody foresaw it, and it may hold results.
            problem = f"failed unexpectedly: {type(error).__name__}"
            trace = traceback.format_tb(error.__traceback__)
            log.error("a run was not written", sink_id=row.sink_id, trace=trace)  # noqa: TRY400
        else:
            return False
        if run is not None:
            await self._failed(row, run, problem)
        if not is_open:
            self._rest(row)
        return is_open

    @asynccontextmanager
    async def _opened(self, row: SinkRow, config: SinkConfig) -> AsyncIterator[Target]:
        address = opened_address(self._seal, row)
        location = standing_location(address, config.format, self._folder)
        target = target_of(location)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await target.open()
            yield target
        finally:
            await target.close()

    async def _claimed(self, row: SinkRow) -> SinkRunRow | None:
        return await self._outbox.claim_run(row.sink_id, self._holder, LEASE_S, _now_ms())

    async def _write(
        self, row: SinkRow, config: SinkConfig, run: SinkRunRow, target: Target
    ) -> None:
        started = monotonic()
        source = Source(self._store.reader, self._result_keys, config.chosen_results)
        outcome = Outcome()
        async with self._kept(run), asyncio.timeout(WRITE_TIMEOUT_S):
            rows = await write_run(source, run.run_uid, target, outcome, again=bool(run.is_forced))
            reach("sink before settling")
        settled = SettledRun(
            "done",
            run.due_ms,
            0,
            _now_ms(),
            version=outcome.version,
            rows=None if outcome.unchanged else rows,
            took_ms=round((monotonic() - started) * 1000),
            notes=json.dumps(outcome.notes, ensure_ascii=False),
        )
        await self._outbox.settle_run(run, self._holder, settled)
        observe.SINK_RUNS.labels("done").inc()
        log.info("run written", sink_id=row.sink_id, run_uid=run.run_uid, rows=rows)

    @asynccontextmanager
    async def _kept(self, run: SinkRunRow) -> AsyncIterator[None]:
        """Keep the lease for as long as the block takes. Should it be lost, both write the same."""

        async def keeping() -> None:
            while True:
                await asyncio.sleep(RENEW_S)
                with contextlib.suppress(StoreUnavailableError):
                    await self._outbox.keep_run(run, self._holder, LEASE_S)

        task = asyncio.create_task(keeping())
        try:
            yield
        finally:
            task.cancel()

    async def _failed(self, row: SinkRow, run: SinkRunRow, problem: str) -> None:
        tries, now_ms = run.tries + 1, _now_ms()
        due_ms = next_try_ms(tries, now_ms, self._pauses_s, retry_after_s=None, random=random)
        state = "failed" if due_ms is None else "pending"
        settled = SettledRun(state, due_ms or now_ms, tries, now_ms, problem=problem)
        await self._outbox.settle_run(run, self._holder, settled)
        observe.SINK_RUNS.labels("failed").inc()
        log.warning(
            "run not written",
            sink_id=row.sink_id,
            run_uid=run.run_uid,
            tries=tries,
            is_given_up=due_ms is None,
            reason=problem,
        )

    def _rest(self, row: SinkRow) -> None:
        """Leave a sink alone that cannot be reached, longer each time."""
        _, rest_s = self._rests.get(row.sink_id, (0.0, self._pauses_s[0] / 2))
        rest_s = min(rest_s * 2, _REST_S_MAX)
        self._rests[row.sink_id] = (monotonic() + rest_s, rest_s)

    # ------------------------------------------------------------ at the start

    async def reseal(self) -> None:
        """Seal anew what an earlier secret key sealed, so that it can be given up."""
        for row in await self._outbox.sinks():
            if self._seal.is_current(row.secrets):
                continue
            try:
                plain = opened_address(self._seal, row)
            except SealError as error:
                log.error(  # noqa: TRY400 - the message says it all
                    "a sink's address cannot be read", sink_id=row.sink_id, reason=str(error)
                )
                continue
            sealed = sealed_address(self._seal, row.sink_id, plain)
            await self._outbox.change_sink(row._replace(secrets=sealed))


def _now_ms() -> int:
    return time_ns() // 1_000_000
