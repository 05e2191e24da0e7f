"""Schedules of the simulated Edges: asked through the real client, judged as they truly went."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import orjson
import pytest

from app.model import read_time_ms
from app.reconcile.budget import FairBudget, LocalLedger
from app.reconcile.client import EdgesClient
from app.reconcile.schedule_poll import SchedulePoller
from app.reconcile.schedules import act
from app.simulator import Scenario, SimulatedEdges
from app.store.protocol import Store
from app.store.views import ScheduleFilter
from tests.store.told import told_of

HOUR_S = 3_600
ACTION = "linkedin-extract-people"


class World:
    """A simulated Edges whose clock is moved on by hand, a client of it, and a poller."""

    def __init__(self, edges: SimulatedEdges, http: httpx2.AsyncClient, store: Store) -> None:
        self.edges = edges
        self.client = EdgesClient(edges.base_url, edges.api_key, budget=FairBudget(LocalLedger()))
        self.store = store
        self._http = http
        self._now_ms = 0

    async def schedule(self, cron: str, **scenario: Any) -> str:
        answer = await self._http.post(
            f"{self.edges.base_url}/actions/{ACTION}/run/schedule",
            json={"inputs": [{"n": 1}], "cron": cron, "timezone": "Europe/Paris"},
            headers={"X-Simulator-Scenario": orjson.dumps(scenario).decode()},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["uid"])

    async def control(self, method: str, path: str, **body: Any) -> Any:
        url = f"{self.edges.origin}/_simulator{path}"
        answer = await self._http.request(method, url, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def advance(self, hours: float) -> None:
        """Move the clock on, and poll."""
        clock = await self.control("POST", "/clock", advance_s=hours * HOUR_S, settle_s=10)
        self._now_ms = round(datetime.fromisoformat(clock["now"]).timestamp() * 1000)
        poller = SchedulePoller(
            self.store,
            self.client,
            every_s=300,
            grace_s=900,
            now_ms=lambda: self._now_ms,
        )
        await poller.poll()

    async def told(self) -> list[tuple[str, int]]:
        """What was told to be missed: schedule, and when it was due."""
        events = await told_of(self.store, "schedule.missed")
        due = [read_time_ms(orjson.loads(one.data)["due_at"]) or 0 for one in events]
        return [(str(one.subject), at_ms) for one, at_ms in zip(events, due, strict=True)]

    async def truly_missed(self, uid: str) -> list[int]:
        truth = await self.control("GET", f"/schedules/{uid}/truth")
        return [
            round(datetime.fromisoformat(one["due_at"]).timestamp() * 1000)
            for one in truth["iterations"]
            if one["fate"] == "missed"
        ]

    async def act(self, uid: str, action: Any, body: dict[str, Any] | None = None) -> str:
        view = await act(
            self.client, self.store, uid, action, body=body, now_ms=lambda: self._now_ms
        )
        assert view is not None
        return view.status


@asynccontextmanager
async def a_world(store: Store, **scenario: Any) -> AsyncIterator[World]:
    starts = datetime(2027, 3, 27, tzinfo=UTC)  # the day before clocks change
    settings = {"seed": 7, "clock_rate": 0, "clock_starts_at": starts, **scenario}
    async with (
        SimulatedEdges(Scenario(**settings)) as edges,
        httpx2.AsyncClient(headers={"X-API-Key": edges.api_key}, trust_env=False) as http,
    ):
        world = World(edges, http, store)
        try:
            yield world
        finally:
            await world.client.close()


@pytest.mark.parametrize("seed", [3, 11])
def test_what_edges_missed_is_told_once_and_nothing_else(
    store: Store, runner: asyncio.Runner, seed: int
) -> None:
    async def going() -> None:
        async with a_world(store, seed=seed) as world:
            uids = [
                await world.schedule("30 * * * *", missed_share=0.3),
                await world.schedule("15 2,3 * * *", missed_share=0.5),
                await world.schedule("*/20 9-17 * * *"),
            ]
            await world.advance(0.1)
            for hours in (0.7, 5, 11, 1, 0.3, 20, 9):
                await world.advance(hours)
            truth = {uid: await world.truly_missed(uid) for uid in uids}
            end_ms = world._now_ms - 900_000
            expected = {(uid, due) for uid in uids for due in truth[uid] if due <= end_ms}
            assert len(expected) > 5, seed
            assert sorted(await world.told()) == sorted(expected), seed

    runner.run(going())


def test_what_is_changed_at_edges_is_known_here(store: Store, runner: asyncio.Runner) -> None:
    async def going() -> None:
        async with a_world(store) as world:
            uid = await world.schedule("0 * * * *", missed_share=1.0)
            await world.advance(0.5)
            assert await world.act(uid, "pause") == "PAUSED"
            await world.advance(3)
            assert await world.told() == []
            assert await world.act(uid, "resume") == "ACTIVE"
            await world.advance(1)
            assert len(await world.told()) == 1
            assert await world.act(uid, "update", {"cron": "0 9 * * *"}) == "ACTIVE"
            (view,) = await store.reader.schedules(ScheduleFilter(), after="", limit=9)
            assert orjson.loads(view.record)["cron"] == "0 9 * * *"
            assert await world.act(uid, "delete") == "CANCELLED"
            await world.advance(40)
            assert len(await world.told()) == 1

    runner.run(going())
