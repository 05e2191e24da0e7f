"""Pages: what their cursors are good for, and links and sizes that do not keep to the contract."""

from collections.abc import Awaitable, Callable

import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio

OpenWorld = Callable[..., Awaitable[World]]
ONE_EACH = {"results_per_input": [1, 1]}


@pytest.mark.parametrize("what", ["inputs", "outputs"])
async def test_a_cursor_is_good_for_so_many_requests(world: World, what: str) -> None:
    truth = await world.run(10, **ONE_EACH, cursor_uses_max=2)
    path = f"/runs/{truth['run_uid']}/{what}?limit=4"
    following = (await world.api.get(path)).headers["X-Pagination-Next"]
    answers = [await world.api.get(following) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert answers[0].json() == answers[1].json()
    assert answers[2].json()["error_label"] == "BAD_PARAMETERS"
    assert len(await world.walk(path)) == 10


async def test_a_cursor_is_good_for_so_many_seconds(open_world: OpenWorld) -> None:
    world = await open_world(clock_rate=0, cursor_lifetime_s=60)
    truth = await world.run(10, **ONE_EACH)
    path = f"/runs/{truth['run_uid']}/outputs?limit=4"
    following = (await world.api.get(path)).headers["X-Pagination-Next"]
    await world.control("POST", "/clock", advance_s=59)
    assert (await world.api.get(following)).status_code == 200
    await world.control("POST", "/clock", advance_s=2)
    assert (await world.api.get(following)).status_code == 400
    assert len(await world.walk(path)) == 10


async def test_cursors_expire_on_demand(world: World) -> None:
    truth, other = await world.run(10), await world.run(10)
    links = [
        (await world.api.get(f"/runs/{uid}/inputs?limit=4")).headers["X-Pagination-Next"]
        for uid in (truth["run_uid"], other["run_uid"])
    ]
    await world.control("POST", f"/runs/{truth['run_uid']}/expire-cursors")
    assert [(await world.api.get(link)).status_code for link in links] == [400, 200]


@pytest.mark.parametrize("what", ["inputs", "outputs"])
async def test_a_link_leads_astray_from_the_page_that_was_asked_for(
    world: World, what: str
) -> None:
    astray = "https://elsewhere.example/v1/runs?cursor=1"
    truth = await world.run(10, **ONE_EACH, hostile_next_url=astray, hostile_from_page=2)
    first = await world.api.get(f"/runs/{truth['run_uid']}/{what}?limit=3")
    second = await world.api.get(first.headers["X-Pagination-Next"])
    assert second.status_code == 200
    assert second.headers["X-Pagination-Next"] == astray
    last = await world.api.get(f"/runs/{truth['run_uid']}/{what}?limit=10")
    assert "X-Pagination-Next" not in last.headers


async def test_pages_may_be_smaller_than_asked_for(world: World) -> None:
    truth = await world.run(5, **ONE_EACH, page_limit_max=1)
    for what in ("inputs", "outputs"):
        path = f"/runs/{truth['run_uid']}/{what}?limit=500"
        assert len(await world.get(path)) == 1
        assert len(await world.walk(path)) == 5


async def test_the_pages_of_other_lists_may_be_smaller_too(open_world: OpenWorld) -> None:
    world = await open_world(page_limit_max=1)
    truth = await world.run(3, **ONE_EACH)
    await world.run(1)
    assert len(await world.get("/runs")) == 1
    assert len(await world.callbacks(truth["run_uid"])) == 1
    assert len(await world.callbacks(truth["run_uid"], "&offset=2")) == 1
    assert await world.callbacks(truth["run_uid"], "&offset=3") == []


async def test_the_limit_for_callbacks_may_be_that_of_the_older_pages(
    open_world: OpenWorld,
) -> None:
    world = await open_world(callbacks_limit_max=20)
    assert (await world.api.get("/runs/callbacks?limit=20")).status_code == 200
    refused = await world.api.get("/runs/callbacks?limit=21")
    assert (refused.status_code, refused.json()["error_label"]) == (400, "BAD_PARAMETERS")
