"""A simulated Edges on a real socket, a client of it, and a receiver of its callbacks."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any

import httpx2
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator import SimulatedEdges

Json = dict[str, Any]


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

    async def has_received(self, count: int) -> None:
        """Wait until so many callbacks have arrived."""
        async with asyncio.timeout(10):
            while len(self.bodies) < count:
                await asyncio.sleep(0.002)

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
        parameters: Json | None = None,
        **overrides: Any,
    ) -> str:
        body = self.launch_body(inputs, on=on, callback=callback, parameters=parameters)
        response = await self.api.post(
            f"/actions/{action}/run/async",
            content=orjson.dumps(body),
            headers={"X-Simulator-Scenario": orjson.dumps(overrides).decode()},
        )
        assert response.status_code == 200, response.text
        run_uid: str = response.json()["run_uid"]
        return run_uid

    def launch_body(
        self, inputs: int, *, on: str = "all", callback: bool = True, parameters: Json | None = None
    ) -> Json:
        body: Json = {
            "inputs": [
                {"linkedin_profile_url": f"https://l/{n}", "custom_data": {"row": n}}
                for n in range(inputs)
            ],
            "parameters": parameters or {},
        }
        if callback:
            headers = {"Authorization": "Bearer token"}
            body["callback"] = {"url": self.receiver.url, "headers": headers, "on": on}
        return body

    async def truth(self, run_uid: str) -> Json:
        url = f"{self.edges.origin}/_simulator/runs/{run_uid}/truth"
        truth: Json = (await self.api.get(url)).json()
        return truth

    async def settled(self, run_uid: str) -> Json:
        """The truth, once nothing more is sent."""
        url = f"{self.edges.origin}/_simulator/runs/{run_uid}/truth?inputs=false"
        async with asyncio.timeout(10):
            while not (await self.api.get(url)).json()["settled"]:
                await asyncio.sleep(0.005)
        return await self.truth(run_uid)

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

    async def true_lines(self, run_uid: str, path: str) -> list[Json]:
        """What the control plane tells of a run, one a line."""
        response = await self.api.get(f"{self.edges.origin}/_simulator/runs/{run_uid}/truth{path}")
        assert response.status_code == 200, response.text
        return [orjson.loads(line) for line in response.content.splitlines()]

    async def true_results(self, run_uid: str) -> list[Json]:
        return await self.true_lines(run_uid, "/results")

    async def control(self, method: str, path: str, **body: Any) -> Json:
        """Pull a lever of the control plane."""
        url = f"{self.edges.origin}/_simulator{path}"
        response = await self.api.request(method, url, json=body)
        assert response.status_code == 200, response.text
        told: Json = response.json()
        return told


class Receivers:
    """A server with any number of receivers, each at an address of its own."""

    def __init__(self) -> None:
        self._origin = ""
        self._receivers: dict[str, Receiver] = {}
        self._names = count()

    def new(self) -> Receiver:
        name = str(next(self._names))
        self._receivers[name] = Receiver(url=f"{self._origin}/callbacks/{name}")
        return self._receivers[name]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Receivers"]:
        async def receive(request: Request) -> Response:
            return await self._receivers[request.path_params["name"]].receive(request)

        app = Starlette(routes=[Route("/callbacks/{name}", receive, methods=["POST"])])
        config = uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self._origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield self
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def client_of(edges: SimulatedEdges) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url=edges.base_url, headers={"X-API-Key": edges.api_key}, trust_env=False
    ) as client:
        yield client
