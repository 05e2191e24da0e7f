"""Replicas that share the budget of a workspace through a row."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from app import observe
from app.budget import RESERVE_SHARE, Told, reserve
from app.reconcile.budget import FairBudget
from app.reconcile.client import EdgesClient
from app.simulator import Scenario, SimulatedEdges
from app.store.postgres.budget import SharedBudgetRow
from app.store.postgres.migrations import migrate_database
from app.store.protocol import StoreUnavailableError
from tests.databases import fresh_postgres

pytestmark = pytest.mark.anyio


@pytest.fixture
async def url() -> AsyncIterator[str]:
    with_schema = fresh_postgres()
    url = await asyncio.to_thread(with_schema.__enter__)
    await migrate_database(url)
    yield url
    await asyncio.to_thread(with_schema.__exit__, None, None, None)


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[tuple[SharedBudgetRow, SharedBudgetRow]]:
    both = SharedBudgetRow(url, "workspace"), SharedBudgetRow(url, "workspace")
    yield both
    for one in both:
        await one.close()


async def test_what_one_replica_spends_the_other_has_no_more(
    replicas: tuple[SharedBudgetRow, SharedBudgetRow],
) -> None:
    one, other = replicas
    state, wait_s = await one.take()
    assert wait_s == 0.0
    assert (await other.take())[1] > 0  # until something is told
    await one.learn(Told(state.tickets, 200, remaining=29))
    given = 0
    while (await replicas[given % 2].take())[1] == 0.0:
        given += 1
    assert given == 29 - reserve(30, RESERVE_SHARE)
    assert (await one.take())[1] > 0
    assert (await other.take())[1] > 0


async def test_requests_taken_in_the_same_instant_have_tickets_of_their_own(
    replicas: tuple[SharedBudgetRow, SharedBudgetRow],
) -> None:
    first, _ = await replicas[0].take()
    await replicas[0].learn(Told(first.tickets, 200))
    taken = await asyncio.gather(*(replicas[number % 2].take() for number in range(40)))
    assert sorted(state.tickets for state, _ in taken) == list(range(2, 42))
    learned = await asyncio.gather(
        *(replicas[ticket % 2].learn(Told(ticket, 200)) for ticket in range(2, 42))
    )
    assert max(state.answered for state in learned) == 41
    assert min(len(state.in_flight) for state in learned) == 0


async def test_workspaces_are_apart(url: str) -> None:
    async with AsyncExitStack() as stack:
        rows = [SharedBudgetRow(url, name) for name in ("one", "other")]
        for row in rows:
            stack.push_async_callback(row.close)
        state, _ = await rows[0].take()
        await rows[0].learn(Told(state.tickets, 429, retry_after_s=60))
        assert (await rows[0].take())[1] > 50
        assert (await rows[1].take())[1] == 0.0


async def test_a_refusal_of_one_replica_holds_back_the_other(
    replicas: tuple[SharedBudgetRow, SharedBudgetRow],
) -> None:
    one, other = FairBudget(replicas[0]), FairBudget(replicas[1])
    await one.learn(429, {"retry-after": "1"}, await one.spend("run"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await other.spend("run")
    await other.spend("run")
    assert other.left is not None


async def test_a_state_that_cannot_be_read_begins_anew(
    replicas: tuple[SharedBudgetRow, SharedBudgetRow], url: str
) -> None:
    await replicas[0].take()
    connection = await asyncpg.connect(url)
    for text in ("{", '{"tickets": "many"}', '{"tickets": 7, "of_a_newer_version": 1}'):
        await connection.execute("UPDATE budgets SET state = $1", text)
        state, wait_s = await replicas[1].take()
        assert wait_s == 0.0
        assert state.tickets == (8 if "newer" in text else 1)
    await connection.close()


async def test_a_connection_that_was_cut_is_replaced(
    replicas: tuple[SharedBudgetRow, SharedBudgetRow], url: str
) -> None:
    first, _ = await replicas[0].take()
    await replicas[0].learn(Told(first.tickets, 200))
    connection = await asyncpg.connect(url)
    ours = replicas[0]._connection._connection
    assert ours is not None
    await connection.execute("SELECT pg_terminate_backend($1)", ours.get_server_pid())
    await connection.close()
    await asyncio.sleep(0.05)
    try:
        state, _ = await replicas[0].take()
    except StoreUnavailableError:  # it was told of the cut by the statement that failed
        state, _ = await replicas[0].take()
    assert state.tickets == 2


async def test_a_take_that_was_cancelled_holds_no_lock(
    replicas: tuple[SharedBudgetRow, SharedBudgetRow], url: str
) -> None:
    first, _ = await replicas[0].take()
    await replicas[0].learn(Told(first.tickets, 200))
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute("SELECT FROM budgets FOR UPDATE")
        waiting = asyncio.create_task(replicas[0].take())
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5):
        assert (await replicas[1].take())[1] == 0.0
        assert (await replicas[0].take())[1] == 0.0
    await connection.close()


async def test_a_server_that_is_away_is_an_outage() -> None:
    row = SharedBudgetRow("postgresql://postgres@127.0.0.1:9/none", "workspace")
    with pytest.raises(StoreUnavailableError):
        await row.take()
    await row.close()


async def test_replicas_together_keep_to_the_limit_of_a_workspace(url: str) -> None:
    """Both ask all they can of an Edges that takes 40 requests a minute, and are never refused."""
    refused = count_of("429")
    async with AsyncExitStack() as stack:
        scenario = Scenario(requests_per_minute=40)
        edges = await stack.enter_async_context(SimulatedEdges(scenario))
        clients = []
        for _ in range(2):
            row = SharedBudgetRow(url, "workspace")
            stack.push_async_callback(row.close)
            budget = FairBudget(row)
            stack.push_async_callback(budget.close)
            client = EdgesClient(edges.base_url, edges.api_key, budget=budget)
            stack.push_async_callback(client.close)
            clients.append(client)
        answered = 0

        async def ask(client: EdgesClient) -> None:
            nonlocal answered
            while True:
                await client.runs(offset=0)
                answered += 1

        asking = [asyncio.create_task(ask(client)) for client in clients for _ in range(3)]
        async with asyncio.timeout(10):
            while answered < 40 - reserve(40) - 4:  # of those side by side some may not be sure
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    assert answered <= 40 - reserve(40) + 1
    assert count_of("429") == refused


def count_of(outcome: str) -> float:
    return (
        observe.REGISTRY.get_sample_value(
            "edges_collector_edges_requests_total", {"route": "runs", "outcome": outcome}
        )
        or 0.0
    )
