"""The list of a run's inputs, also while it changes."""

from collections import Counter
from typing import Any

import pytest

from tests.simulator.world import Json, World

pytestmark = pytest.mark.anyio

SLOW: dict[str, Any] = {"results_per_input": [1, 1], "callbacks_per_second": 1}


def rows(inputs: list[Json]) -> list[int]:
    return [each["custom_data"]["row"] for each in inputs]


async def test_statuses_change_between_the_pages_of_a_walk(world: World) -> None:
    run_uid = await world.launch(24, results_per_input=[1, 1], callbacks_per_second=20)
    first = await world.api.get(f"/runs/{run_uid}/inputs?limit=12")
    await world.settled(run_uid)
    second = await world.api.get(first.headers["X-Pagination-Next"])
    assert "QUEUED" in {each["status"] for each in first.json()}
    assert {each["status"] for each in second.json()} == {"SUCCEEDED"}


async def test_the_order_may_differ_between_walks_until_the_run_is_final(world: World) -> None:
    run_uid = await world.launch(30, **SLOW, inputs_shift="between_walks")
    walks = [rows(await world.walk(f"/runs/{run_uid}/inputs?limit=7")) for _ in range(3)]
    assert all(sorted(walk) == list(range(30)) for walk in walks)
    assert len({tuple(walk) for walk in walks}) == 3
    await world.api.post(f"/runs/{run_uid}/cancel")
    assert rows(await world.walk(f"/runs/{run_uid}/inputs?limit=7")) == list(range(30))


async def test_the_order_may_change_within_a_walk(world: World) -> None:
    run_uid = await world.launch(30, **SLOW, inputs_shift="within_walks")
    seen = Counter(rows(await world.walk(f"/runs/{run_uid}/inputs?limit=7")))
    assert seen.total() == 30
    assert len(seen) < 30
    await world.api.post(f"/runs/{run_uid}/cancel")
    assert rows(await world.walk(f"/runs/{run_uid}/inputs?limit=7")) == list(range(30))


async def test_some_statuses_are_null_whatever_became_of_the_input(world: World) -> None:
    truth = await world.run(60, failed_share=0.3, null_status_share=0.3)
    inputs = await world.walk(f"/runs/{truth['run_uid']}/inputs")
    assert [each["status"] for each in inputs] == [each["shown_status"] for each in truth["inputs"]]
    hidden = [each for each in truth["inputs"] if each["shown_status"] is None]
    assert 8 < len(hidden) < 30
    assert {each["status"] for each in hidden} == {"SUCCEEDED", "FAILED"}


async def test_twins_are_listed_each_with_a_uid_of_its_own(world: World) -> None:
    twin: dict[str, Any] = {"linkedin_profile_url": "https://l/1", "custom_data": {"row": 1}}
    body = {"inputs": [twin, twin], "callback": {"url": world.receiver.url}}
    launched = await world.api.post("/actions/linkedin-extract-people/run/async", json=body)
    await world.settled(launched.json()["run_uid"])
    one, two = await world.walk(f"/runs/{launched.json()['run_uid']}/inputs?limit=1")
    assert one["uid"] != two["uid"]
    assert (one["input_data"], one["custom_data"]) == (two["input_data"], two["custom_data"])
