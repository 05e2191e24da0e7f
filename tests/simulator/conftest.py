"""Servers are shared by the tests of a module; each test has a receiver of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from app.simulator import Scenario, SimulatedEdges
from tests.simulator.world import Receivers, World, client_of

USUAL: dict[str, Any] = {
    "seed": 7,
    "results_per_input": (1, 5),
    "page_size": 2,
    "retry_delay_s": 0.01,
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def receivers() -> AsyncIterator[Receivers]:
    async with Receivers().serving() as receivers:
        yield receivers


@pytest.fixture(scope="module")
async def edges() -> AsyncIterator[SimulatedEdges]:
    async with SimulatedEdges(Scenario(**USUAL)) as edges:
        yield edges


@pytest.fixture(scope="module")
async def api(edges: SimulatedEdges) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(edges) as client:
        yield client


@pytest.fixture
def world(edges: SimulatedEdges, api: httpx2.AsyncClient, receivers: Receivers) -> World:
    """The shared Edges, with a fresh receiver. Of its runs, some belong to other tests."""
    return World(edges, api, receivers.new())


@pytest.fixture
async def open_world(receivers: Receivers) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Opens an Edges of its own, for what no launch can override."""
    async with AsyncExitStack() as stack:

        async def opened(**knobs: Any) -> World:
            edges = SimulatedEdges(Scenario(**(USUAL | knobs)))
            await stack.enter_async_context(edges)
            api = await stack.enter_async_context(client_of(edges))
            return World(edges, api, receivers.new())

        yield opened
