"""Hands endpoints to lanes: those that this replica has, as they are set at the time."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from time import monotonic, time_ns
from uuid import uuid4

import structlog

from app.event import EventType, event
from app.notify.addressing import Addressing
from app.notify.attempt import Attempt
from app.notify.lane import Lane, Send
from app.notify.perpetual import perpetual
from app.notify.retries import is_to_be_disabled
from app.notify.settling import Settling
from app.notify.words import place_of
from app.store.outbox import Outbox
from app.store.outbox_rows import DueDelivery, EndpointRow
from app.store.protocol import StoreUnavailableError

RENEW_S_MAX = 3.0
CLOSE_S = 5.0
"""How long deliveries that are under way may take when the service ends."""

log = structlog.get_logger("dispatcher")


class Dispatcher:
    """Delivers what is due, for as long as it runs."""

    def __init__(
        self,
        outbox: Outbox,
        addressing: Addressing,
        send: Send,
        *,
        pauses_s: Sequence[float],
        disable_after_s: float,
        timeout_s: float,
    ) -> None:
        """`pauses_s` between tries; after `disable_after_s` of failures an endpoint is disabled.

        `timeout_s` bounds each try: so long, and a little longer, endpoints of a replica that
        died wait for another one, since what it had begun may still be under way.
        """
        self._outbox = outbox
        self._addressing = addressing
        self._send = send
        self._pauses_s = pauses_s
        self._disable_after_s = disable_after_s
        self._send_max_s = timeout_s * 1.1 + 0.5
        self._lease_s = self._send_max_s + 3.0
        self._settling = Settling(outbox)
        self._holder = str(uuid4())
        self._lanes: dict[str, Lane] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        """Of endpoints that this replica has no more: what is under way ends."""
        self._news = asyncio.Event()

    def wake(self, endpoint_ids: Collection[str] | None = None) -> None:
        """Say that these endpoints, or any, have something to deliver."""
        if endpoint_ids is None or not self._lanes.keys() >= set(endpoint_ids):
            self._news.set()
        for endpoint_id in self._lanes if endpoint_ids is None else endpoint_ids:
            if endpoint_id in self._lanes:
                self._lanes[endpoint_id].wake()

    async def run(self) -> None:
        """Deliver until cancelled."""
        settling = asyncio.create_task(
            perpetual("settling deliveries", self._settling.run), name="settling deliveries"
        )
        try:
            while True:
                self._news.clear()
                try:
                    await self._take()
                except StoreUnavailableError as error:
                    log.warning("deliveries wait for the database", reason=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), min(RENEW_S_MAX, self._lease_s / 4))
        finally:
            closing = [lane.close(CLOSE_S) for lane in self._lanes.values()]
            for task in self._closing.values():
                task.cancel()
            await asyncio.gather(*closing, *self._closing.values(), return_exceptions=True)
            self._lanes.clear()
            settling.cancel()
            await asyncio.gather(settling, return_exceptions=True)
            with contextlib.suppress(StoreUnavailableError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._settling.flush()
                    await self._outbox.release(self._holder)

    async def _take(self) -> None:
        """Lease what is to be had; open and close lanes accordingly."""
        leased_until_s = monotonic() + self._lease_s
        rows = {
            row.endpoint_id: row for row in await self._outbox.lease(self._holder, self._lease_s)
        }
        for endpoint_id in [one for one in self._lanes if one not in rows]:
            lane = self._lanes.pop(endpoint_id)
            self._closing[endpoint_id] = asyncio.create_task(self._close(endpoint_id, lane))
        for row, config in self._addressing.readable(list(rows.values())):
            endpoint_id = row.endpoint_id
            if endpoint_id in self._closing:  # else what is under way would be sent again
                continue
            lane = self._lanes.get(endpoint_id) or Lane(
                row,
                config,
                outbox=self._outbox,
                settling=self._settling,
                send=self._send,
                on_failure=self._failed,
                pauses_s=self._pauses_s,
                send_max_s=self._send_max_s,
            )
            self._lanes[endpoint_id] = lane
            lane.keep(row, config, leased_until_s)

    async def _close(self, endpoint_id: str, lane: Lane) -> None:
        try:
            await lane.close(self._send_max_s)
        finally:
            del self._closing[endpoint_id]
            self._news.set()

    async def _failed(
        self, row: EndpointRow, delivery: DueDelivery, attempt: Attempt, since_ms: int
    ) -> None:
        """Disable an endpoint that is gone, or has failed for too long."""
        del delivery
        now_ms = time_ns() // 1_000_000
        if attempt.is_gone:
            reason = "the receiver answered 410: it wants nothing more"
        elif is_to_be_disabled(since_ms, now_ms, self._disable_after_s):
            reason = (
                f"nothing was delivered for {self._disable_after_s / 86_400:.3g} days;"
                f" the last try: {attempt.problem}"
            )
        else:
            return
        config = self._addressing.config(row)
        raised = event(
            EventType.ENDPOINT_DISABLED,
            str(row.version),
            time_ms=now_ms,
            data={
                "endpoint_id": row.endpoint_id,
                "url": place_of(config.url),  # the rest of it may be a secret of the receiver
                "description": config.description,
                "reason": reason,
            },
            subject=row.endpoint_id,
        )
        try:
            is_disabled = await self._outbox.disable_endpoint(
                row.endpoint_id, reason, raised, self._addressing.addressed
            )
        except StoreUnavailableError as error:  # the next try that fails will do it
            log.warning("an endpoint cannot be disabled now", reason=str(error))
            return
        if is_disabled:
            log.warning("endpoint disabled", endpoint_id=row.endpoint_id, reason=reason)
            self._news.set()
