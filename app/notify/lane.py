"""One endpoint's deliveries: as many at a time, and as fast, as it is set to take.

Each endpoint has a lane to itself, so that one that hangs keeps no other waiting.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic, time_ns

import structlog

from app import observe
from app.crash_points import reach
from app.notify.attempt import Attempt
from app.notify.endpoint import EndpointConfig
from app.notify.perpetual import perpetual
from app.notify.retries import next_try_ms
from app.notify.settling import Settling
from app.store.outbox import Outbox
from app.store.outbox_rows import DueDelivery, EndpointRow, SettledTry
from app.store.protocol import StoreUnavailableError

READ_AT_ONCE = 64
POLL_S = 5.0
"""How long to wait for a wake-up before looking anyway."""

LATE_S = 0.05
"""How late a delivery may begin, and the next ones still come as if it had not been: where there
is a limit to their rate, timers and the event loop do not lower it."""

Send = Callable[[EndpointRow, DueDelivery], Awaitable[Attempt]]
OnFailure = Callable[[EndpointRow, DueDelivery, Attempt, int], Awaitable[None]]
"""Told of a try that failed, and since when (Unix ms) tries have."""

log = structlog.get_logger("dispatcher")


class Lane:
    """Delivers to one endpoint until it is closed."""

    def __init__(
        self,
        row: EndpointRow,
        config: EndpointConfig,
        *,
        outbox: Outbox,
        settling: Settling,
        send: Send,
        on_failure: OnFailure,
        pauses_s: Sequence[float],
        send_max_s: float,
    ) -> None:
        """`send_max_s`: longer than any try takes. None is begun that could outlast the lease."""
        self.row = row
        self._config = config
        self._outbox = outbox
        self._settling = settling
        self._send = send
        self._on_failure = on_failure
        self._pauses_s = pauses_s
        self._send_max_s = send_max_s
        self.leased_until_s = 0.0
        """On the monotonic clock."""
        self._failing_since_ms = row.failing_since_ms
        self._ready: deque[DueDelivery] = deque()
        self._unsettled: dict[str, str] = {}
        """The run of each delivery that was begun and is not recorded yet."""
        self._settled: set[str] = set()
        """Those that were recorded since what is due was last asked for."""
        self._sending: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._next_s = 0.0
        self._news = asyncio.Event()
        self._is_closing = False
        self._task = asyncio.get_running_loop().create_task(
            perpetual(f"deliveries to {row.endpoint_id}", self._run), name=row.endpoint_id
        )

    def wake(self) -> None:
        """Say that there may be something to deliver."""
        self._news.set()

    def keep(self, row: EndpointRow, config: EndpointConfig, leased_until_s: float) -> None:
        """Go on, as the endpoint is set now."""
        if row.version != self.row.version:
            self._failing_since_ms = row.failing_since_ms
            self._next_s = 0.0  # by a rate that may not be set any more
            self._ready.clear()
            self._news.set()
        self.row, self._config = row, config
        self.leased_until_s = leased_until_s

    async def close(self, patience_s: float = 0.0) -> None:
        """Begin nothing more; what is under way has `patience_s` to end, and is cut off then.

        What is cut off is tried again later: whether it arrived is unknown.
        """
        self._is_closing = True
        self._task.cancel()
        if self._sending and patience_s:
            await asyncio.wait(self._sending, timeout=patience_s)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(self._task, *self._sending, return_exceptions=True)

    # -------------------------------------------------------------------- loop

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                wait_s = await self._step()
            except StoreUnavailableError as error:
                log.warning("deliveries wait for the database", reason=str(error))
                wait_s = 1.0
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), wait_s)

    async def _step(self) -> float:
        """Begin what may be begun; for how long there is nothing to do then, in seconds."""
        # One that fails gets one try at a time, so that many that hang take little together.
        if self._busy >= (1 if self._failing_since_ms else self._config.concurrency):
            return POLL_S
        if monotonic() + self._send_max_s > self.leased_until_s:
            return 0.2
        pause_s = self._next_s - monotonic()
        if pause_s > 0:
            return min(pause_s, POLL_S)  # a timer takes no more than so many years
        delivery = self._next_ready()
        if delivery is None:
            now_ms = time_ns() // 1_000_000
            self._settled.clear()
            found = await self._outbox.due(
                self.row.endpoint_id,
                now_ms,
                limit=READ_AT_ONCE + len(self._unsettled),
                is_ordered=self._config.ordered,
            )
            # What was recorded meanwhile may have been read as it was before.
            begun = self._unsettled.keys() | self._settled
            self._ready.extend(one for one in found if one.delivery_id not in begun)
            delivery = self._next_ready()
            if delivery is None:
                return await self._until_next(now_ms)
        self._begin(delivery)
        return 0.0

    def _next_ready(self) -> DueDelivery | None:
        runs = set(self._unsettled.values()) if self._config.ordered else set()
        while self._ready:
            delivery = self._ready.popleft()
            if delivery.delivery_id in self._unsettled:
                continue
            if delivery.run_uid and delivery.run_uid in runs:
                continue  # read again once the one before it is recorded
            return delivery
        return None

    async def _until_next(self, now_ms: int) -> float:
        due_ms = await self._outbox.next_due_ms(self.row.endpoint_id, now_ms)
        if due_ms is None:
            return POLL_S
        return max(0.001, min(POLL_S, due_ms / 1000 - time_ns() / 1_000_000_000))

    def _begin(self, delivery: DueDelivery) -> None:
        if self._config.rate_per_s is not None:
            self._next_s = max(self._next_s, monotonic() - LATE_S) + 1 / self._config.rate_per_s
        self._unsettled[delivery.delivery_id] = delivery.run_uid
        self._busy += 1
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, delivery: DueDelivery) -> None:
        at_ms = time_ns() // 1_000_000
        try:
            attempt = await self._send(self.row, delivery)
            reach("delivery sent")
        finally:
            self._busy -= 1
            self._news.set()
        try:
            await self._settle(delivery, attempt, at_ms)
        finally:
            self._unsettled.pop(delivery.delivery_id, None)
            self._settled.add(delivery.delivery_id)
            self._news.set()

    async def _settle(self, delivery: DueDelivery, attempt: Attempt, at_ms: int) -> None:
        tries = delivery.tries + 1
        state, due_ms = "delivered", at_ms
        if not attempt.is_delivered:
            next_ms = next_try_ms(
                tries,
                at_ms + attempt.took_ms,
                self._pauses_s,
                retry_after_s=attempt.retry_after_s,
                random=random.random,
            )
            state = "failed" if next_ms is None else "pending"
            due_ms = next_ms or at_ms
        observe.DELIVERIES.labels(state if state != "pending" else "to be tried again").inc()
        await self._settling.record(
            SettledTry(
                self.row.endpoint_id,
                delivery.run_uid,
                delivery.delivery_id,
                delivery.attempts + 1,
                tries,
                at_ms,
                attempt.took_ms,
                attempt.status,
                attempt.problem,
                attempt.answer,
                state,
                due_ms,
            )
        )
        if attempt.is_delivered:
            self._failing_since_ms = None
            return
        self._failing_since_ms = self._failing_since_ms or at_ms
        log.info(
            "delivery failed",
            endpoint_id=self.row.endpoint_id,
            event_id=delivery.event_id,
            tries=tries,
            status=attempt.status,
            problem=attempt.problem,
            is_last=state == "failed",
        )
        await self._on_failure(self.row, delivery, attempt, self._failing_since_ms)
