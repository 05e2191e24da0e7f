"""What both outboxes do: events with their deliveries, and letting go of them."""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from app.event import Event, event
from app.model import Quarantined
from app.settings import Settings
from app.store.outbox_rows import DueDelivery, EndpointRow, SettledTry
from app.store.protocol import Store

MAX_MS = 2**52


def endpoint(endpoint_id: str = "ep", state: str = "active") -> EndpointRow:
    return EndpointRow(endpoint_id, state, None, "{}", "sealed", 1, 0, 0, None, None)


async def to_all(events: Sequence[Event], endpoints: Sequence[EndpointRow]) -> list[list[str]]:
    return [[row.endpoint_id for row in endpoints] for _ in events]


async def raise_one(store: Store, name: str, received_ms: int = 1_000) -> None:
    """The only way to raise an event that needs no worker."""
    await store.quarantine(
        Quarantined(name, received_ms, "no_json", "it is none", "text/plain", name.encode())
    )


async def due(store: Store, *, is_ordered: bool = False) -> list[DueDelivery]:
    return await store.outbox.due("ep", MAX_MS, limit=100, is_ordered=is_ordered)


def settled(one: DueDelivery, state: str, at_ms: int) -> SettledTry:
    return SettledTry(
        "ep", one.run_uid, one.delivery_id, one.attempts + 1, one.tries + 1, at_ms, 0, 500,
        "HTTP 500", "", state, at_ms,
    )  # fmt: skip


def test_an_event_is_kept_as_long_as_a_delivery_of_it(store: Store, runner: asyncio.Runner) -> None:
    """A dead letter can be sent again, three days of tries after its event."""

    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_endpoint(endpoint())
        await raise_one(store, "q-1", received_ms=1_000)
        assert len((await outbox.relay(to_all, 1_000)).events) == 1
        (one,) = await due(store)
        await outbox.settle([settled(one, "failed", 9_000)])
        assert await outbox.prune(5_000, limit=10) == 0
        assert await outbox.redeliver(one.delivery_id, 9_500)
        (again,) = await due(store)
        assert again.event is not None
        await outbox.settle([settled(again, "delivered", 9_600)])
        assert await outbox.prune(9_601, limit=10) == 2
        assert await outbox.prune(9_601, limit=10) == 0
        assert await store.reader.events(after_no=0, limit=10) == []

    runner.run(trying())


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        ({"run_uid": "a-run"}, "deliveries_of_runs (run_uid=?)"),
        ({"endpoint_id": "ep"}, "deliveries_of_endpoints (endpoint_id=?)"),
        ({"endpoint_id": "ep", "state": "failed"}, "deliveries_failed (endpoint_id=?)"),
        ({"event_no": 7}, "deliveries_of_events (event_no=?)"),
        (None, "events_by_run (run_uid=? AND event_no>?)"),
    ],
)
def test_lists_are_found_by_an_index(
    store: Store,
    runner: asyncio.Runner,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    *,
    chosen: dict[str, Any] | None,
    index: str,
) -> None:
    """A million deliveries are nothing to scan for a page of ten."""
    if settings.postgres_url is not None:
        pytest.skip("which index PostgreSQL takes depends on what is in the tables")
    plans = list[str]()

    async def explained(sql: str, *values: object) -> list[object]:
        with sqlite3.connect(settings.data_dir / "collector-outbox.db") as outbox:
            sql = sql.replace(store.reader.outbox_schema, "main.")
            plans.extend(row[3] for row in outbox.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        return []

    monkeypatch.setattr(store.reader, "_rows", explained)
    if chosen is None:
        runner.run(store.reader.events(after_no=0, limit=10, run_uid="a-run"))
    else:
        runner.run(store.reader.deliveries(**chosen, limit=10))
    assert len(plans) == 1, plans
    assert plans[0].endswith(f"USING INDEX {index}")


def test_an_endpoint_that_two_replicas_add_at_their_start_is_there_once(
    store: Store, runner: asyncio.Runner
) -> None:
    """That of the local command, which has the same id everywhere."""
    for state in ("active", "paused"):
        runner.run(store.outbox.add_endpoint(endpoint("the-command", state)))
    (row,) = runner.run(store.outbox.endpoints())
    assert row.state == "active"


def of_runs(*run_uids: str) -> list[Event]:
    return [
        event("input.failed", str(cause), time_ms=1_000, data={}, run_uid=run_uid)
        for cause, run_uid in enumerate(run_uids)
    ]


async def publish(store: Store, events: Sequence[Event]) -> None:
    async with store.outbox._transaction() as transaction:
        for one in events:
            await store.outbox.publish(transaction, one, to_all)


def test_in_order_only_the_first_of_each_run_is_due(store: Store, runner: asyncio.Runner) -> None:
    async def trying() -> None:
        outbox = store.outbox
        assert await due(store, is_ordered=True) == []
        await outbox.add_endpoint(endpoint())
        await outbox.add_endpoint(endpoint("another"))
        raised = of_runs("run-b", "run-a", "", "run-a", "", "run-b")
        await publish(store, raised)
        first = await due(store, is_ordered=True)
        assert [one.event for one in first] == [raised[at] for at in (2, 4, 0, 1)]
        # One that waits for its next try holds up those behind it.
        await outbox.settle([settled(first[2], "pending", MAX_MS + 1)])
        await outbox.settle([settled(first[3], "delivered", 1_000)])
        again = await due(store, is_ordered=True)
        assert [one.event for one in again] == [raised[at] for at in (2, 4, 3)]
        assert len(await due(store)) == 4

    runner.run(trying())


def test_a_long_run_in_order_is_not_read_for_each_of_its_events(
    store: Store, runner: asyncio.Runner, settings: Settings
) -> None:
    """Else each delivery of a hundred thousand reads those that wait behind it."""
    if settings.postgres_url is not None:
        pytest.skip("it counts steps of SQLite")
    steps = 0

    def counted() -> None:
        nonlocal steps
        steps += 1

    async def trying() -> None:
        await store.outbox.add_endpoint(endpoint())
        async with store.outbox._transaction() as transaction:
            await store.outbox._publish(transaction, of_runs(*["a-run"] * 5_000), 1, to_all, 1_000)
        connection = store.outbox._connection  # type: ignore[attr-defined]
        await connection.set_progress_handler(counted, 1_000)
        assert len(await due(store, is_ordered=True)) == 1
        await connection.set_progress_handler(None, 1_000)

    runner.run(trying())
    assert steps < 5


@pytest.mark.parametrize("state", ["pending", "failed", "delivered"])
def test_what_is_asked_for_anew_while_it_is_tried_is_tried_from_the_first_try_on(
    store: Store, runner: asyncio.Runner, state: str
) -> None:
    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_endpoint(endpoint())
        await publish(store, of_runs("a-run"))
        (one,) = await due(store)
        await outbox.settle([settled(one, "pending", 2_000)])
        (under_way,) = await due(store)
        assert await outbox.redeliver(one.delivery_id, 3_000)
        await outbox.settle([settled(under_way, state, MAX_MS + 1)])
        (again,) = await due(store)
        assert (again.tries, again.attempts) == (0, 2)
        await outbox.settle([settled(again, "delivered", 4_000)])
        assert await due(store) == []
        assert len(await store.reader.attempts("a-run", one.delivery_id)) == 3

    runner.run(trying())


def test_an_endpoint_is_dropped_with_its_deliveries_portion_by_portion(
    store: Store, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.outbox.REMOVED_AT_ONCE", 2)

    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_endpoint(endpoint())
        await outbox.add_endpoint(endpoint("another"))
        await publish(store, of_runs("run-a", "run-b", "", "run-a"))
        found = await due(store)
        await outbox.settle([settled(one, "pending", 2_000) for one in found])
        assert await outbox.remove_endpoint("ep")
        assert not await outbox.remove_endpoint("ep")
        assert [row.endpoint_id for row in await outbox.endpoints()] == ["another"]
        left = await store.reader.deliveries(limit=10)
        assert [one.endpoint_id for one in left] == ["another"] * 4
        for one in found:
            assert await store.reader.attempts(one.run_uid, one.delivery_id) == []

    runner.run(trying())
