"""A simulated Edges, a receiver of its callbacks, a store, and passes over runs."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from time import time_ns
from typing import TYPE_CHECKING, Any

import httpx2
import orjson
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.canonical import canonical
from app.envelope import About, enveloped
from app.export.formats import NdjsonWriter
from app.export.stream import inputs_file, results_file, snapshot
from app.model import Arrival, Outcome, Source
from app.project.projector import Projector
from app.project.rebuild import rebuild
from app.receive.reading import read_ids
from app.reconcile.budget import FairBudget, LocalBudget
from app.reconcile.client import EdgesClient
from app.reconcile.errors import EdgesApiError
from app.reconcile.passing import Pass
from app.reconcile.steps import Waits
from app.settings import Settings
from app.simulator import Scenario, SimulatedEdges
from app.store.database import opened_for_rebuild, opened_for_work, store_of
from app.store.views import InputFilter, ResultFilter, RunView
from tests.databases import emptied_database

if TYPE_CHECKING:
    from app.store.protocol import Store

Json = dict[str, Any]

RESULT_KEYS = Settings.model_fields["result_keys"].default
WAITS = Waits(settle_ms=0, replay_ms=60)
PASSES_MAX = 6


class Killed(BaseException):
    """The process ends here."""


class Edges:
    """A simulated Edges and a receiver that holds callbacks back, repeats and forgets them."""

    def __init__(self, edges: SimulatedEdges, api: httpx2.AsyncClient, budget: FairBudget) -> None:
        self.edges = edges
        self.api = api
        self.url = ""
        # One for all collectors: it remembers nothing that a crash would lose.
        self.budget = budget
        self.client = EdgesClient(edges.base_url, edges.api_key, budget=self.budget)
        self.bodies: dict[str, list[bytes]] = {}

    async def receive(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep a callback for whoever takes it."""
        del scope
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        self.bodies.setdefault(read_ids(body).run_uid, []).append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def launch(
        self, inputs: list[Json], *, on: str | None, parameters: Json | None = None, **knobs: Any
    ) -> str:
        body: Json = {"inputs": inputs, "parameters": parameters or {}}
        if on is not None:
            body["callback"] = {"url": self.url, "on": on}
        is_incremental = (parameters or {}).get("sync_mode") == "incremental"
        action = "linkedin-extract-connections" if is_incremental else "linkedin-extract-people"
        answer = await self.api.post(
            f"/actions/{action}/run/async",
            json=body,
            headers={"X-Simulator-Scenario": orjson.dumps(knobs).decode()},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["run_uid"])

    async def truth(self, run_uid: str, *, inputs: bool = True) -> Json:
        asked = "" if inputs else "?inputs=false"
        url = f"{self.edges.origin}/_simulator/runs/{run_uid}/truth{asked}"
        answer: Json = (await self.api.get(url)).json()
        return answer

    async def settled(self, run_uid: str) -> Json:
        async with asyncio.timeout(100):
            while not (truth := await self.truth(run_uid))["settled"]:
                await asyncio.sleep(0.003)
        return truth

    async def results(self, run_uid: str, which: str) -> Counter[bytes]:
        url = f"{self.edges.origin}/_simulator/runs/{run_uid}/truth/results?which={which}"
        lines = (await self.api.get(url)).content.splitlines()
        return Counter(canonical(orjson.loads(line)) for line in lines)

    async def post(self, path: str, **body: Any) -> None:
        answer = await self.api.post(f"{self.edges.origin}/_simulator/{path}", json=body)
        assert answer.status_code == 200, answer.text


class _Receiver(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def simulated_edges(
    scenario: Scenario | None = None, budget: FairBudget | None = None
) -> AsyncIterator[Edges]:
    """For as long as the block lasts."""
    async with (
        SimulatedEdges(scenario or Scenario()) as edges,
        httpx2.AsyncClient(
            base_url=edges.base_url,
            headers={"X-API-Key": edges.api_key},
            trust_env=False,
            timeout=60,
        ) as api,
    ):
        world = Edges(edges, api, budget or LocalBudget())
        config = uvicorn.Config(
            world.receive,
            port=0,
            log_config=None,
            lifespan="off",
            access_log=False,
            interface="asgi3",
        )
        server = _Receiver(config)
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        port = server.servers[0].sockets[0].getsockname()[1]
        world.url = f"http://127.0.0.1:{port}/"
        try:
            yield world
        finally:
            server.should_exit = True
            await serving
            await world.client.close()
            await world.budget.close()


class Collecting:
    """A store with its projector, both of which can be killed and opened again."""

    def __init__(self, edges: Edges, configured: Settings) -> None:
        self.edges = edges
        self.configured = configured
        self.store: Store
        self._thread = ThreadPoolExecutor(1)
        self._working = ExitStack()
        self._projector: Projector
        self._projecting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self.store = store_of(self.configured, on_news=lambda: None)
        await self.store.open()
        await self._on_thread(self._open_projector)
        self._projecting = asyncio.create_task(self._project())

    def _open_projector(self) -> None:
        work = self._working.enter_context(opened_for_work(self.configured, "worker"))
        self._projector = Projector(work.log, work.projection, RESULT_KEYS)

    async def close(self) -> None:
        assert self._projecting is not None
        self._projecting.cancel()
        await asyncio.gather(self._projecting, return_exceptions=True)
        await self._on_thread(self._working.close)
        await self.store.close()

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def rebuild(self) -> None:
        def rebuilding() -> None:
            with opened_for_rebuild(self.configured) as again:
                rebuild(again, self.configured, lambda done, total: None)

        await self._on_thread(rebuilding)

    async def _on_thread(self, work: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _project(self) -> None:
        while True:
            if await self._on_thread(self._projector.project_batch) is None:
                await asyncio.sleep(0.004)

    async def projected(self) -> None:
        async with asyncio.timeout(100):
            while (await self.store.reader.lag(0)).callbacks:
                await asyncio.sleep(0.004)

    async def take(self, bodies: list[bytes]) -> None:
        """Log callbacks as the receiver does."""
        arrivals = []
        for body in bodies:
            ids = read_ids(body)
            arrivals.append(Arrival(ids.run_uid, ids.key, body, time_ns() // 1_000_000))
        if arrivals:
            await self.store.append(arrivals)

    async def log_act(self, run_uid: str, act: str) -> None:
        body = enveloped(About(act=act), b"null")
        now_ms = time_ns() // 1_000_000
        key = f"edges:test-{act}-{now_ms}"
        await self.store.append([Arrival(run_uid, key, body, now_ms, Source.ACT.value)])

    def passing(self, run_uid: str, *, killed_after: int | None = None) -> Pass:
        """A pass; with `killed_after` the process ends at its so-manieth entry of the log.

        Of that one, nobody knows whether it was logged.
        """
        left = [killed_after]

        async def log_entry(arrival: Arrival) -> Outcome:
            if left[0] is not None:
                if left[0] <= 0:
                    if random.Random(arrival.key).random() < 0.5:
                        await self.store.append([arrival])
                    raise Killed
                left[0] -= 1
            return (await self.store.append([arrival]))[0]

        return Pass(
            run_uid,
            client=self.edges.client,
            reader=self.store.reader,
            log_entry=log_entry,
            seqs=self.store.seqs,
            waits=WAITS,
        )

    async def reconcile(self, run_uid: str, *, killed_after: int | None = None) -> RunView | None:
        """One pass, and whatever Edges sends because of it."""
        try:
            running = asyncio.create_task(
                self.passing(run_uid, killed_after=killed_after).run(), name="pass"
            )
            taking = asyncio.create_task(self._take_what_comes(run_uid))
            try:
                return await running
            finally:
                taking.cancel()
                await asyncio.gather(taking, return_exceptions=True)
        except (Killed, EdgesApiError):
            return None

    async def _take_what_comes(self, run_uid: str) -> None:
        """Callbacks that come during a pass are those that it asks for."""
        bodies = self.edges.bodies.setdefault(run_uid, [])
        seen = len(bodies)
        while True:
            await asyncio.sleep(0.005)
            if len(bodies) > seen:
                new, seen = bodies[seen:], len(bodies)
                await self.take(new)

    async def run(self, run_uid: str) -> RunView:
        await self.projected()
        run = await self.store.reader.run(run_uid)
        assert run is not None
        return run

    async def results(self, run_uid: str) -> list[Json]:
        run = await self.run(run_uid)
        taken = await snapshot(self.store.reader, run)
        pieces = results_file(
            self.store.reader,
            [taken],
            ResultFilter(),
            RESULT_KEYS,
            NdjsonWriter(()),
            shape="record",
        )
        return [orjson.loads(line) async for piece in pieces for line in piece.splitlines()]

    async def inputs(self, run_uid: str) -> list[Json]:
        run = await self.run(run_uid)
        pieces = inputs_file(
            self.store.reader, run.snapshot, InputFilter(), NdjsonWriter(()), shape="record"
        )
        return [orjson.loads(line) async for piece in pieces for line in piece.splitlines()]


@contextmanager
def configured(kind: str) -> Iterator[Settings]:
    """The settings for an empty database of this kind. Not within an event loop."""
    with emptied_database(kind) as env, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        yield Settings()


@asynccontextmanager
async def collecting(edges: Edges, settings: Settings) -> AsyncIterator[Collecting]:
    """A collector's inside on the database that the settings name."""
    world = Collecting(edges, settings)
    await world.open()
    try:
        yield world
    finally:
        await world.close()


def inputs_of(count: int) -> list[Json]:
    """Inputs with a row id each."""
    return [
        {"linkedin_profile_url": f"https://l/{n}", "custom_data": {"row": n}} for n in range(count)
    ]
