"""The dispatcher over a real outbox: endpoints that hang, limits, lanes that close, outages."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, cast
from uuid import uuid4

import pytest

from app.event import EventType, event
from app.model import Quarantined
from app.notify import settling
from app.notify.addressing import Addressing
from app.notify.attempt import Attempt
from app.notify.composing import Composing
from app.notify.dispatcher import Dispatcher
from app.notify.endpoint import EndpointConfig, EndpointSecrets
from app.notify.lane import Send
from app.notify.links import LinkSigner
from app.notify.relay import Relay
from app.notify.sealing import Seal
from app.notify.sending import Sending, sealed_secrets
from app.notify.signing import new_secret
from app.notify.webhook import WebhookClient
from app.settings import Settings
from app.store.database import store_of
from app.store.outbox_rows import DeliveryRow, DueDelivery, EndpointRow
from app.store.protocol import Store, StoreUnavailableError
from tests.databases import fast_folder
from tests.notify.receiver import OK, hangs, receiving

pytestmark = pytest.mark.anyio

SEAL = Seal("a-key-of-the-tests")
DELIVERED = Attempt(is_delivered=True, took_ms=1, status=200)
FAILED = Attempt(is_delivered=False, took_ms=1, status=500, problem="HTTP 500")
WAIT_S = 60.0


async def _has_no_input(_run_uid: str, _custom: object) -> bool:
    return False


class Faulty:
    """An outbox whose calls fail now and then, some of them after they took effect."""

    def __init__(self, outbox: Any) -> None:
        self._outbox = outbox
        self.fails: Callable[[], str] = lambda: ""
        """Whether the next call fails: `before` or `after` it takes effect."""
        self.calls: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*values: Any, **options: Any) -> Any:
            if (when := self.fails()) == "before":
                self._fail(name)
            result = await getattr(self._outbox, name)(*values, **options)
            if when:
                self._fail(name)
            self.calls[name] += 1
            return result

        return call

    def _fail(self, name: str) -> None:
        self.failures[name] += 1
        raise StoreUnavailableError("as the test has it")


@dataclass
class World:
    """A store, and a dispatcher that sends as the test says."""

    store: Store
    send: Send
    pauses_s: list[float]
    timeout_s: float
    sent: list[tuple[str, str]] = field(default_factory=list)
    """(Endpoint, event) of each try, in order."""

    def __post_init__(self) -> None:
        self.addressing = Addressing(_has_no_input)
        self.outbox = cast("Any", Faulty(self.store.outbox))
        self.dispatcher = Dispatcher(
            self.outbox,
            self.addressing,
            self._send,
            pauses_s=self.pauses_s,
            disable_after_s=3_600,
            timeout_s=self.timeout_s,
        )
        self._relay = Relay(
            self.store.outbox,
            self.addressing,
            lambda relayed: self.dispatcher.wake(relayed.endpoint_ids),
        )

    async def _send(self, row: EndpointRow, delivery: DueDelivery) -> Attempt:
        self.sent.append((row.endpoint_id, delivery.event_id))
        return await self.send(row, delivery)

    async def add_endpoint(
        self, url: str = "https://example.com/", state: str = "active", **more: Any
    ) -> EndpointRow:
        config = EndpointConfig(url=url, event_types=["callback.quarantined"], **more)
        uid = str(uuid4())
        secrets = sealed_secrets(SEAL, uid, EndpointSecrets(secret=new_secret("v1")))
        row = EndpointRow(uid, state, None, config.model_dump_json(), secrets, 1, 0, 0, None, None)
        await self.store.outbox.add_endpoint(row)
        return row

    async def set_state(self, row: EndpointRow, state: str) -> EndpointRow:
        """Have an endpoint changed as the API does it."""
        assert await self.store.outbox.change_endpoint(row._replace(state=state))
        return row._replace(state=state, version=row.version + 1)

    async def tell(self, count: int = 1) -> list[str]:
        """Have events raised and taken over; their ids."""
        for _ in range(count):
            now_ms = time.time_ns() // 1_000_000
            body = uuid4().hex.encode()
            item = Quarantined(str(uuid4()), now_ms, "no_run_uid", "", "application/json", body)
            await self.store.quarantine(item)
        while not await self._relay.relay_once():
            pass
        return [one.event.event_id for one in await self.store.reader.events(after_no=0, limit=999)]

    async def deliveries(self, row: EndpointRow | None = None) -> list[DeliveryRow]:
        uid = row and row.endpoint_id
        return await self.store.reader.deliveries(endpoint_id=uid, limit=999)

    async def states(self, row: EndpointRow | None = None) -> Counter[str]:
        return Counter(one.state for one in await self.deliveries(row))

    async def until_settled(self) -> None:
        """Until nothing is pending."""
        await until(self._is_settled)

    async def _is_settled(self) -> bool:
        return "pending" not in await self.states()

    async def until_leased_anew(self) -> None:
        """Until the dispatcher has heard of how endpoints stand now."""
        before = self.outbox.calls["lease"]
        self.dispatcher.wake()

        async def is_leased() -> bool:
            return bool(self.outbox.calls["lease"] > before)

        await until(is_leased)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def delivering(
    send: Send, *, pauses_s: Collection[float] = (), timeout_s: float = 1.0
) -> AsyncIterator[World]:
    """A dispatcher at work on an empty SQLite database."""
    with fast_folder() as folder:
        store = store_of(Settings(data_dir=Path(folder)), on_news=lambda: None)
        await store.open()
        world = World(store, send, list(pauses_s), timeout_s)
        running = asyncio.create_task(world.dispatcher.run())
        try:
            yield world
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await store.close()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await is_so():
            await asyncio.sleep(0.01)


async def delivers(_row: EndpointRow, _delivery: DueDelivery) -> Attempt:
    return DELIVERED


# ------------------------------------------------------------- endpoints that hang

HEALTHY, HANGING, EVENTS, HANGS_S = 180, 20, 5, 1.0
TRIES = 4
"""Others use this machine too: what delays is there each time, what they do is not."""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_tenth_of_endpoints_that_hang_delay_no_others() -> None:
    came: list[float] = []

    async def answers(writer: asyncio.StreamWriter) -> bool:
        came.append(time.perf_counter())
        writer.write(OK)
        return True

    async def latency_s(world: World) -> float:
        """The median over healthy endpoints and some events, one after another."""
        found: list[float] = []
        for _ in range(EVENTS):
            came.clear()
            began = time.perf_counter()
            await world.tell()

            async def have_come() -> bool:
                return len(came) >= HEALTHY  # on a busy machine one may time out, and come twice

            await until(have_come)
            found += [at - began for at in came]
        return median(found)

    webhooks = WebhookClient(allow_private=True, timeout_s=HANGS_S)
    composing = Composing(
        Addressing(_has_no_input),
        links=LinkSigner("a-key-of-the-tests"),
        mailer=None,
        base_url="https://collector.example.com",
        results_of=_no_results,
    )
    sending = Sending(composing, seal=SEAL, webhooks=webhooks, mailer=None, command=None)
    async with (
        receiving(answers) as healthy,
        receiving(hangs) as hanging,
        delivering(sending.send, pauses_s=[0.05] * 50, timeout_s=HANGS_S) as world,
    ):
        for _ in range(HEALTHY):
            await world.add_endpoint(healthy.url)
        slow = [await world.add_endpoint(hanging.url, "paused") for _ in range(HANGING)]
        await world.until_leased_anew()
        await latency_s(world)  # connections are opened
        figures: list[tuple[float, float]] = []
        for _ in range(TRIES):
            undisturbed = await latency_s(world)
            slow = [await world.set_state(row, "active") for row in slow]
            await world.until_leased_anew()
            disturbed = await latency_s(world)
            assert len(hanging.bodies) >= HANGING
            figures.append((undisturbed, disturbed))
            if disturbed <= 2 * undisturbed or disturbed - undisturbed <= 0.05:
                break
            slow = [await world.set_state(row, "paused") for row in slow]
            await world.until_leased_anew()
        else:
            pytest.fail(f"(undisturbed, disturbed) in seconds: {figures}")
    await webhooks.close()


async def _no_results(_run_uid: str, _bytes_max: int) -> None:
    return None


# ------------------------------------------------------------------ lanes that close


@pytest.mark.parametrize("end", ["paused", "deleted", "disabled"])
async def test_an_endpoint_that_is_no_longer_active_gets_nothing_more(end: str) -> None:
    goes_on = asyncio.Event()

    async def waits(_row: EndpointRow, _delivery: DueDelivery) -> Attempt:
        await goes_on.wait()
        return DELIVERED

    async with delivering(waits) as world:
        row, other = [await world.add_endpoint(concurrency=1) for _ in range(2)]
        await world.until_leased_anew()
        ids = await world.tell(5)
        await until(lambda: _is(len(world.sent) == 2))
        if end == "paused":
            row = await world.set_state(row, "paused")
        elif end == "deleted":
            await world.store.outbox.remove_endpoint(row.endpoint_id)
        else:
            told = event(EventType.ENDPOINT_DISABLED, "", time_ms=0, data={}, subject="x")
            await world.store.outbox.disable_endpoint(
                row.endpoint_id, "gone", told, world.addressing.addressed
            )
        await world.until_leased_anew()
        goes_on.set()
        await until(lambda: _is(len(world.sent) == 1 + 5))
        await world.tell(2)
        await until(lambda: _is(len(world.sent) == 1 + 7))
        sent = [event_id for uid, event_id in world.sent if uid == row.endpoint_id]
        assert sent == ids[:1]
        # What is kept of it.
        await until(lambda: _delivered(world, other, 7))
        states = await world.states(row)
        if end == "deleted":
            assert not states
        else:
            assert states.total() == 7
            assert states["pending"] == (6 if end == "paused" else 0)
        if end == "paused":
            await world.set_state(row, "active")
            await world.until_leased_anew()
            await world.until_settled()
            assert Counter(world.sent) == dict.fromkeys(world.sent, 1)
            assert len(world.sent) == 14


async def _is(value: bool) -> bool:
    return value


async def _delivered(world: World, row: EndpointRow, count: int) -> bool:
    return (await world.states(row))["delivered"] == count


# --------------------------------------------------------------------------- limits


async def test_no_more_deliveries_are_under_way_than_an_endpoint_takes() -> None:
    under_way: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def counts(row: EndpointRow, _delivery: DueDelivery) -> Attempt:
        uid = row.endpoint_id
        under_way[uid] += 1
        most[uid] = max(most[uid], under_way[uid])
        await asyncio.sleep(0.02)
        under_way[uid] -= 1
        return DELIVERED

    async with delivering(counts) as world:
        limits = {
            (await world.add_endpoint(concurrency=limit)).endpoint_id: limit for limit in (1, 3, 8)
        }
        await world.until_leased_anew()
        await world.tell(30)
        await world.until_settled()
        assert most == limits
        assert len(world.sent) == 90


async def test_no_more_deliveries_begin_in_a_second_than_an_endpoint_takes() -> None:
    rate, events = 40, 60
    times: list[float] = []

    async def stamps(row: EndpointRow, _delivery: DueDelivery) -> Attempt:
        if row.endpoint_id == limited.endpoint_id:
            times.append(time.monotonic())
        return DELIVERED

    async with delivering(stamps) as world:
        limited = await world.add_endpoint(rate_per_s=rate, concurrency=64)
        free = await world.add_endpoint()
        await world.until_leased_anew()
        await world.tell(events)
        await until(lambda: _delivered(world, free, events))
        assert len(times) < events, "the other endpoint had to wait"
        await world.until_settled()
    assert len(times) == events
    for first in range(events):
        in_a_second = sum(times[first] <= at < times[first] + 1 for at in times)
        assert in_a_second <= rate * 1.1 + 1


# -------------------------------------------------------------------------- outages


async def test_an_outage_of_the_store_loses_nothing_and_repeats_nothing_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "PAUSE_S", 0.01)
    seed = Random().randrange(2**32)
    rng = Random(seed)
    recorded: set[tuple[str, str]] = set()
    repeated: list[tuple[str, str]] = []

    async def sends(row: EndpointRow, delivery: DueDelivery) -> Attempt:
        if (row.endpoint_id, delivery.event_id) in recorded:
            repeated.append((row.endpoint_id, delivery.event_id))
        await asyncio.sleep(rng.random() * 0.03)
        return FAILED if rng.random() < 0.2 else DELIVERED

    async with delivering(sends, pauses_s=[0.02] * 50) as world:

        async def note() -> bool:
            for one in await world.deliveries():
                if one.state == "delivered":
                    recorded.add((one.endpoint_id, one.event_id))
            return len(recorded) == 3 * 40

        for ordered in (False, False, True):
            await world.add_endpoint(concurrency=4, ordered=ordered)
        await world.until_leased_anew()
        await world.tell(40)
        for _ in range(3):
            await asyncio.sleep(0.05)
            await note()
            world.outbox.fails = lambda: rng.choice(("before", "before", "after", ""))
            await asyncio.sleep(0.2)
            world.outbox.fails = lambda: ""
            await note()
        await until(note)
        assert world.outbox.failures["settle"], f"seed {seed}"
        assert not repeated, f"seed {seed}"
        tries = Counter(world.sent)
        for one in await world.deliveries():
            kept = await world.store.reader.attempts(one.run_uid, one.delivery_id)
            assert len(kept) == tries[one.endpoint_id, one.event_id], f"seed {seed}"
            assert [try_.status for try_ in kept] == [500] * (len(kept) - 1) + [200], f"seed {seed}"
