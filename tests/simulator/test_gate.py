"""Faults and limits of API requests."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from time import monotonic

import httpx2
import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio

OpenWorld = Callable[..., Awaitable[World]]


async def test_the_budget_is_shared_announced_and_refilled(open_world: OpenWorld) -> None:
    world = await open_world(requests_per_minute=3, rate_window_s=1.0)
    run_uid = await world.launch(1)  # launches are not runs' routes, and cost nothing
    paths = ["/runs", f"/runs/{run_uid}", f"/runs/callbacks?run_uid={run_uid}"]
    answers = [await world.api.get(path) for path in paths]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0"]
    refused = await world.api.get("/runs")
    assert (refused.status_code, refused.json()["error_label"]) == (429, "STATUS_429")
    assert refused.headers["X-RateLimit-Type"]
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.headers["Retry-After"] == "1"
    await asyncio.sleep(1.0)
    assert (await world.api.get("/runs")).status_code == 200
    await world.truth(run_uid)  # the control plane is not part of it


async def test_without_a_limit_nothing_is_announced(world: World) -> None:
    assert "X-RateLimit-Remaining" not in (await world.api.get("/runs")).headers


async def test_some_requests_fail_without_effect(open_world: OpenWorld) -> None:
    world = await open_world(error_share_5xx=0.4)
    statuses = Counter([(await world.api.get("/runs")).status_code for _ in range(60)])
    assert set(statuses) == {200, 500, 503}
    assert 12 < statuses[500] + statuses[503] < 36


async def test_storms_come_in_their_turn_and_spare_nobody(open_world: OpenWorld) -> None:
    world = await open_world(storm_every=20, storm_length=12)
    answers = [await world.api.get("/runs") for _ in range(60)]
    assert [answer.status_code >= 500 for answer in answers] == ([False] * 8 + [True] * 12) * 3
    kinds = {answer.status_code: answer.headers["content-type"] for answer in answers}
    assert set(kinds) == {200, 500, 502, 503, 504}
    assert kinds[503] == "application/json"
    assert kinds[504].startswith("text/html")  # what stands in front of an API answers so


async def test_some_answers_are_late(open_world: OpenWorld) -> None:
    world = await open_world(slow_share=0.5, slow_s=0.3)
    took_s = []
    for _ in range(8):
        started = monotonic()
        await world.api.get("/runs")
        took_s.append(monotonic() - started)
    late = [each for each in took_s if each >= 0.29]
    assert 1 <= len(late) <= 7


async def test_the_budget_goes_by_the_simulated_clock(open_world: OpenWorld) -> None:
    world = await open_world(requests_per_minute=2, clock_rate=0)
    assert [(await world.api.get("/runs")).status_code for _ in range(3)] == [200, 200, 429]
    await world.control("POST", "/clock", advance_s=60)
    assert (await world.api.get("/runs")).status_code == 200
    await world.control("PATCH", "/scenario", requests_per_minute=1)
    refused = await world.api.get("/runs")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    await world.control("POST", "/clock", rate=30)
    in_real_seconds = (await world.api.get("/runs")).headers["Retry-After"]
    assert in_real_seconds in ("1", "2")


async def test_a_refusal_may_not_say_for_how_long(open_world: OpenWorld) -> None:
    world = await open_world(requests_per_minute=1, retry_after_sent=False)
    await world.api.get("/runs")
    refused = await world.api.get("/runs")
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert refused.headers["X-RateLimit-Type"]
    assert refused.headers["X-RateLimit-Remaining"] == "0"


async def test_some_answers_break_off_though_the_request_took_effect(
    open_world: OpenWorld,
) -> None:
    cut, whole = await open_world(cut_share=1.0), await open_world()
    with pytest.raises(httpx2.RemoteProtocolError):
        await cut.launch(3, callback=False)
    run_uid = await whole.launch(3, callback=False)  # the same seed names its first run the same
    assert (await cut.settled(run_uid))["status"] == "SUCCEEDED"
