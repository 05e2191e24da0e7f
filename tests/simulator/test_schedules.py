"""Schedules over the API, and the runs that come of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tests.simulator.world import Json, World

pytestmark = pytest.mark.anyio

OpenWorld = Callable[..., Awaitable[World]]
ACTION = "linkedin-extract-people"
CONNECTIONS = "linkedin-extract-connections"
HOUR_S = 3_600
STOPPED: dict[str, Any] = {"clock_rate": 0, "clock_starts_at": datetime(2027, 1, 1, tzinfo=UTC)}
HOURLY = {"cron": "0 * * * *"}
KEYS = {
    *("uid", "name", "action_id", "action_name", "user_uid", "workspace_uid", "status"),
    *("postponed_until", "cron", "timezone", "schedule_at", "next_execution_at"),
    *("last_executed_at", "created_at", "updated_at"),
}


@pytest.fixture
async def world(open_world: OpenWorld) -> World:
    """One whose clock stands still at New Year."""
    return await open_world(**STOPPED)


async def schedule(
    world: World,
    timing: Json,
    *,
    action: str = ACTION,
    parameters: Json | None = None,
    **overrides: Any,
) -> str:
    response = await world.api.post(
        f"/actions/{action}/run/schedule",
        json=world.launch_body(3, parameters=parameters) | timing,
        headers={"X-Simulator-Scenario": orjson.dumps(overrides).decode()},
    )
    assert response.status_code == 200, response.text
    uid: str = response.json()["uid"]
    return uid


async def advance(world: World, hours: float, settle_s: float = 5) -> None:
    await world.control("POST", "/clock", advance_s=hours * HOUR_S, settle_s=settle_s)


async def runs_of(world: World, schedule_uid: str) -> list[Json]:
    runs = await world.get("/runs?limit=100&execution_mode=SCHEDULE")
    return [run for run in runs if run["scheduled_run_uid"] == schedule_uid]


async def fates(world: World, schedule_uid: str) -> list[str]:
    truth = await world.control("GET", f"/schedules/{schedule_uid}/truth")
    return [each["fate"] for each in truth["iterations"]]


async def post(world: World, path: str, **body: Any) -> int:
    return (await world.api.post(path, json=body)).status_code


async def test_it_is_answered_listed_and_found(world: World) -> None:
    body = world.launch_body(3) | HOURLY | {"name": "nightly", "timezone": "Europe/Paris"}
    response = await world.api.post(f"/actions/{ACTION}/run/schedule", json=body)
    launched = response.json()
    assert response.status_code == 200
    assert launched["scheduled_run_uid"] == launched["uid"]
    assert launched["run_uid"] is None
    shown = await world.get(f"/schedules/{launched['uid']}")
    assert set(shown) == KEYS
    assert shown == {key: launched[key] for key in KEYS}
    assert (shown["status"], shown["cron"]) == ("ACTIVE", "0 * * * *")
    assert (shown["name"], shown["timezone"]) == ("nightly", "Europe/Paris")
    assert shown["next_execution_at"] == "2027-01-01T01:00:00.000Z"
    assert shown["last_executed_at"] is None
    assert await world.get("/schedules") == [shown]
    assert await world.get("/schedules?status=PAUSED") == []
    assert await world.get(f"/schedules?uid={launched['uid']}&status=ACTIVE") == [shown]
    assert (await world.api.get("/schedules/none")).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"cron": "often"},
        {"cron": None},
        {"timezone": "Mars/Olympus"},
        {"name": "x" * 256},
        {"inputs": []},
    ],
)
async def test_what_makes_no_sense_is_refused(world: World, change: Json) -> None:
    body = world.launch_body(3) | HOURLY | change
    response = await world.api.post(f"/actions/{ACTION}/run/schedule", json=body)
    assert (response.status_code, await world.get("/schedules")) == (400, [])


async def test_each_iteration_is_a_run_that_names_its_schedule(world: World) -> None:
    uid = await schedule(world, HOURLY)
    await advance(world, 3.5)
    runs = await runs_of(world, uid)
    assert [run["created_at"][11:19] for run in runs] == ["01:00:00", "02:00:00", "03:00:00"]
    assert {run["status"] for run in runs} == {"SUCCEEDED"}
    assert len({run["uid"] for run in runs}) == 3
    shown = await world.get(f"/schedules/{uid}")
    assert shown["last_executed_at"] == "2027-01-01T03:00:00.000Z"
    assert shown["next_execution_at"] == "2027-01-01T04:00:00.000Z"
    bodies = world.receiver.bodies
    assert {body["run"]["run_uid"] for body in bodies} == {run["uid"] for run in runs}
    assert all("scheduled_run_uid" not in repr(body) for body in bodies)


async def test_once_is_once(world: World) -> None:
    uid = await schedule(world, {"schedule_at": "2027-01-01T02:00:00Z"})
    await advance(world, 1)
    assert await runs_of(world, uid) == []
    await advance(world, 48)
    assert len(await runs_of(world, uid)) == 1
    shown = await world.get(f"/schedules/{uid}")
    assert (shown["status"], shown["next_execution_at"]) == ("COMPLETED", None)
    assert await post(world, f"/schedules/{uid}/pause") == 400


async def test_an_iteration_is_skipped_while_the_previous_one_runs(world: World) -> None:
    uid = await schedule(world, HOURLY, callbacks_per_second=0.1)
    await advance(world, 3, settle_s=0)
    assert await fates(world, uid) == ["launched", "skipped", "skipped"]
    (run,) = await runs_of(world, uid)
    await post(world, f"/runs/{run['uid']}/cancel")
    await advance(world, 1, settle_s=0)
    assert (await fates(world, uid))[3:] == ["launched"]


async def test_some_iterations_silently_do_not_come(world: World) -> None:
    uid = await schedule(world, HOURLY, missed_share=0.4, results_per_input=[0, 0])
    await advance(world, 24)
    counts = Counter(await fates(world, uid))
    assert counts["launched"] + counts["missed"] == 24
    assert 4 <= counts["missed"] <= 16
    assert len(await runs_of(world, uid)) == counts["launched"]


async def test_an_incremental_schedule_brings_only_what_is_new(world: World) -> None:
    uid = await schedule(world, HOURLY, action=CONNECTIONS, parameters={"sync_mode": "incremental"})
    await advance(world, 2)
    one, two = await runs_of(world, uid)
    assert await post(world, f"/runs/{two['uid']}/continue") == 200
    await world.settled(two["uid"])
    await advance(world, 1)
    runs = await runs_of(world, uid)
    outputs = [await world.walk(f"/runs/{run['uid']}/outputs") for run in runs]
    assert all(outputs)
    ids = [each["linkedin_profile_id"] for results in outputs for each in results]
    assert len(set(ids)) == len(ids) == len(world.receiver.results)
    assert [run["output_count"] for run in runs] == [len(results) for results in outputs]
    assert runs[0] == one


async def test_a_full_schedule_brings_the_same_again(world: World) -> None:
    uid = await schedule(world, HOURLY)
    await advance(world, 2)
    one, two = [
        await world.walk(f"/runs/{run['uid']}/outputs") for run in await runs_of(world, uid)
    ]
    assert one == two


async def test_it_is_paused_resumed_and_deleted(world: World) -> None:
    uid = await schedule(world, HOURLY)
    path = f"/schedules/{uid}"
    assert await post(world, f"{path}/resume") == 400
    assert await post(world, f"{path}/pause") == 200
    await advance(world, 5.5)
    assert await runs_of(world, uid) == []
    resumed = (await world.api.post(f"{path}/resume")).json()
    assert resumed["status"] == "ACTIVE"
    assert resumed["next_execution_at"] == "2027-01-01T06:00:00.000Z"  # nothing is made up for
    await advance(world, 1)
    assert len(await runs_of(world, uid)) == 1
    assert (await world.api.post(f"{path}/delete")).json()["status"] == "CANCELLED"
    await advance(world, 5)
    assert len(await runs_of(world, uid)) == 1
    assert (await world.get(path))["status"] == "CANCELLED"
    for action in ("delete", "resume", "pause", "update"):
        assert await post(world, f"{path}/{action}") == 400
    assert await post(world, f"{path}/rename") == 404


async def test_it_is_updated_in_part(world: World) -> None:
    uid = await schedule(world, HOURLY | {"name": "first"})
    update = f"/schedules/{uid}/update"
    changed = (await world.api.post(update, json={"cron": "30 * * * *"})).json()
    assert (changed["name"], changed["cron"]) == ("first", "30 * * * *")
    assert changed["next_execution_at"] == "2027-01-01T00:30:00.000Z"
    assert await post(world, update, cron="never") == 400
    assert await post(world, update, schedule_at="2027-01-01T00:10:00Z") == 200
    await advance(world, 24)
    (run,) = await runs_of(world, uid)
    assert run["created_at"] == "2027-01-01T00:10:00.000Z"


async def test_a_fast_clock_needs_no_lever(open_world: OpenWorld) -> None:
    world = await open_world(clock_rate=36_000)  # ten hours in a second
    uid = await schedule(world, HOURLY, results_per_input=[0, 0])
    async with asyncio.timeout(5):
        while len(await runs_of(world, uid)) < 3:
            await asyncio.sleep(0.02)


async def test_schedules_are_not_in_the_budget_of_runs(open_world: OpenWorld) -> None:
    world = await open_world(requests_per_minute=1)
    assert [(await world.api.get("/schedules")).status_code for _ in range(3)] == [200] * 3
