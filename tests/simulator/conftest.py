"""A simulated Edges on a real socket, and a receiver that notes what is posted to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

import httpx2
import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator import Scenario, SimulatedEdges

Json = dict[str, Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Receiver:
    """Notes bodies and headers in order of arrival; `statuses` answers first, then 200."""

    url: str = ""
    bodies: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived_at: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    at_once: int = 0
    at_once_max: int = 0

    async def receive(self, request: Request) -> Response:
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            self.bodies.append(orjson.loads(await request.body()))
            self.headers.append(dict(request.headers))
            self.arrived_at.append(monotonic())
            await asyncio.sleep(self.delay_s)
            return Response(status_code=self.statuses.pop(0) if self.statuses else 200)
        finally:
            self.at_once -= 1

    @property
    def results(self) -> list[Json]:
        return [result for body in self.bodies for result in body["results"]]


@dataclass
class World:
    """A simulated Edges, a client of its API, and a receiver."""

    edges: SimulatedEdges
    api: httpx2.AsyncClient
    receiver: Receiver

    async def launch(
        self,
        inputs: int = 10,
        *,
        action: str = "linkedin-extract-people",
        on: str = "all",
        callback: bool = True,
        **overrides: Any,
    ) -> str:
        parameters = overrides.pop("parameters", {})
        body: Json = {
            "inputs": [
                {"linkedin_profile_url": f"https://l/{n}", "custom_data": {"row": n}}
                for n in range(inputs)
            ],
            "parameters": parameters,
        }
        if callback:
            headers = {"Authorization": "Bearer token"}
            body["callback"] = {"url": self.receiver.url, "headers": headers, "on": on}
        response = await self.api.post(
            f"/actions/{action}/run/async",
            content=orjson.dumps(body),
            headers={"X-Simulator-Scenario": orjson.dumps(overrides).decode()},
        )
        assert response.status_code == 200, response.text
        run_uid: str = response.json()["run_uid"]
        return run_uid

    async def truth(self, run_uid: str) -> Json:
        url = f"{self.edges.origin}/_simulator/runs/{run_uid}/truth"
        truth: Json = (await self.api.get(url)).json()
        return truth

    async def settled(self, run_uid: str) -> Json:
        async with asyncio.timeout(10):
            while not (truth := await self.truth(run_uid))["settled"]:
                await asyncio.sleep(0.005)
        return truth

    async def run(self, inputs: int = 10, **overrides: Any) -> Json:
        """Launch, and the truth once all is settled."""
        return await self.settled(await self.launch(inputs, **overrides))

    async def get(self, path: str) -> Any:
        response = await self.api.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def callbacks(self, run_uid: str, query: str = "") -> list[Json]:
        found: list[Json] = await self.get(f"/runs/callbacks?run_uid={run_uid}&limit=100{query}")
        return found

    async def walk(self, path: str) -> list[Json]:
        """All items of a list that is paged by cursor."""
        items: list[Json] = []
        next_url: str | None = path
        while next_url:
            response = await self.api.get(next_url)
            assert response.status_code == 200, response.text
            items += response.json()
            next_url = response.headers.get("X-Pagination-Next")
        return items

    async def true_results(self, run_uid: str) -> list[Json]:
        url = f"{self.edges.origin}/_simulator/runs/{run_uid}/truth/results"
        return [orjson.loads(line) for line in (await self.api.get(url)).content.splitlines()]


class EmbeddedServer(uvicorn.Server):
    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        listener = socket.create_server(("127.0.0.1", 0))
        task = asyncio.create_task(self._serve([listener]))
        while not self.started:
            await asyncio.sleep(0.001)
        try:
            yield self
        finally:
            self.should_exit = True
            await task


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/callbacks", receiver.receive, methods=["POST"])])
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    async with EmbeddedServer(config).running() as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        receiver.url = f"http://127.0.0.1:{port}/callbacks"
        yield receiver


@pytest.fixture
async def open_world() -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Opens a world for a scenario (of seed 7, two pages an input or so, quick retries)."""
    async with AsyncExitStack() as stack:

        async def opened(**knobs: Any) -> World:
            usual: Json = {"seed": 7, "results_per_input": (1, 5), "page_size": 2}
            scenario = Scenario(**(usual | {"retry_delay_s": 0.01} | knobs))
            receiver = await stack.enter_async_context(receiving())
            edges = await stack.enter_async_context(SimulatedEdges(scenario))
            api = await stack.enter_async_context(
                httpx2.AsyncClient(
                    base_url=edges.base_url, headers={"X-API-Key": edges.api_key}, trust_env=False
                )
            )
            return World(edges, api, receiver)

        yield opened


@pytest.fixture
async def world(open_world: Callable[..., Awaitable[World]]) -> World:
    return await open_world()
