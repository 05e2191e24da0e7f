"""Runs, inputs and outputs over the API."""

import asyncio

import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio

CONNECTIONS = "linkedin-extract-connections"
INCREMENTAL = {"sync_mode": "incremental"}


async def test_results_are_the_same_in_callbacks_outputs_inputs_and_truth(world: World) -> None:
    truth = await world.run(30, failed_share=0.2, blocked_share=0.1)
    run = await world.get(f"/runs/{truth['run_uid']}")
    inputs = await world.walk(f"/runs/{truth['run_uid']}/inputs?limit=7")
    outputs = await world.walk(f"/runs/{truth['run_uid']}/outputs?limit=7")
    total = truth["results_total"]
    assert total == len(outputs) == run["output_count"] == len(world.receiver.results)
    assert total == sum(each["output_count"] for each in inputs)
    assert total == sum(each["output_count"] for each in truth["inputs"])
    assert outputs == await world.true_results(truth["run_uid"])
    assert sorted(map(repr, world.receiver.results)) == sorted(map(repr, outputs))


async def test_pages_follow_the_full_url_and_end_without_it(world: World) -> None:
    truth = await world.run(5, results_per_input=[4, 4])
    path = f"/runs/{truth['run_uid']}/outputs?limit=10"
    first = await world.api.get(path)
    following = first.headers["X-Pagination-Next"]
    assert following.startswith(f"{world.edges.base_url}/runs/{truth['run_uid']}/outputs?limit=10")
    second = await world.api.get(following)
    assert (len(first.json()), len(second.json())) == (10, 10)
    assert "X-Pagination-Next" not in second.headers
    assert second.json() == await world.get(path + "&offset=10")


@pytest.mark.parametrize(
    "query", ["limit=501", "limit=0", "limit=x", "cursor=abc", "cursor=MS4y", "offset=-1"]
)
@pytest.mark.parametrize("what", ["inputs", "outputs"])
async def test_pages_out_of_bounds_are_refused(world: World, what: str, query: str) -> None:
    run_uid = await world.launch(1)
    response = await world.api.get(f"/runs/{run_uid}/{what}?{query}")
    assert (response.status_code, response.json()["error_label"]) == (400, "BAD_PARAMETERS")


async def test_inputs_tell_how_they_ended(world: World) -> None:
    truth = await world.run(40, failed_share=0.3, blocked_share=0.2)
    inputs = await world.walk(f"/runs/{truth['run_uid']}/inputs")
    assert {each["status"] for each in inputs} == {"SUCCEEDED", "FAILED", "BLOCKED"}
    for true, each in zip(truth["inputs"], inputs, strict=True):
        assert (each["uid"], each["status"]) == (true["uid"], true["status"])
        assert each["last_error"]["label"] == true["error_label"]
        assert each["last_error"]["has_failed"] == (each["status"] != "SUCCEEDED")
        assert each["custom_data"] == {"row": true["index"]}
        assert each["input_data"] == {"linkedin_profile_url": f"https://l/{true['index']}"}
        assert each["started_at"] <= each["finished_at"]


@pytest.mark.parametrize(
    ("shares", "status"),
    [
        ({}, "SUCCEEDED"),
        ({"failed_share": 1.0}, "FAILED"),
        ({"blocked_share": 1.0}, "BLOCKED"),
        ({"failed_share": 0.5}, "PARTIAL_SUCCEEDED"),
    ],
)
async def test_a_run_ends_as_its_inputs_did(
    world: World, shares: dict[str, float], status: str
) -> None:
    truth = await world.run(20, **shares)
    run = await world.get(f"/runs/{truth['run_uid']}")
    assert run["status"] == truth["status"] == status
    assert (run["last_error"] is None) == (status == "SUCCEEDED")
    brief = await world.get(f"/runs/{truth['run_uid']}/status")
    assert brief["status"] == status
    assert set(brief) == {
        *("id", "uid", "status", "postponed_until", "started_at", "finished_at"),
        *("created_at", "updated_at"),
    }


async def test_runs_are_filtered_sorted_and_paged(world: World) -> None:
    one = await world.run(1)
    two = await world.run(1, failed_share=1.0, action="linkedin-extract-company")
    uids = [one["run_uid"], two["run_uid"]]

    async def listed(query: str) -> list[str]:
        own = "&".join(f"uid={uid}" for uid in uids)
        return [run["uid"] for run in await world.get(f"/runs?{own}&{query}")]

    assert await listed("limit=5") == uids
    assert await listed("sort=-created_at") == uids[::-1]
    assert await listed("limit=1&offset=1") == uids[1:]
    assert await listed("status=FAILED") == uids[1:]
    assert await listed("action_name=linkedin-extract-people") == uids[:1]
    assert await listed("execution_mode=ASYNC") == uids
    assert await listed("execution_mode=LIVE") == []
    assert (await world.api.get("/runs?limit=101")).status_code == 400
    assert (await world.api.get("/runs?sort=colour")).status_code == 400
    assert (await world.api.get("/runs?status=LOST")).status_code == 400


async def test_max_results_caps_each_input(world: World) -> None:
    truth = await world.run(5, results_per_input=[9, 9], parameters={"max_results": 3})
    assert {each["output_count"] for each in truth["inputs"]} == {3}


async def test_a_cancelled_run_keeps_what_it_has_and_can_be_resumed(world: World) -> None:
    run_uid = await world.launch(100, callbacks_per_second=200, reorder_window=8)
    await world.receiver.has_received(5)
    stopped = (await world.api.post(f"/runs/{run_uid}/cancel")).json()
    assert stopped["status"] == "STOPPED"
    await world.settled(run_uid)
    received = len(world.receiver.bodies)
    await asyncio.sleep(0.1)
    assert len(world.receiver.bodies) == received
    truth = await world.truth(run_uid)
    assert 0 < truth["results_total"] == len(await world.walk(f"/runs/{run_uid}/outputs"))
    assert {each["status"] for each in truth["inputs"]} == {"SUCCEEDED", "STOPPED"}

    resumed = await world.api.post(f"/runs/{run_uid}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "QUEUED")
    truth = await world.settled(run_uid)
    assert truth["status"] == "SUCCEEDED"
    assert len(world.receiver.results) == truth["results_total"]
    refs = [body["callback_ref_uid"] for body in world.receiver.bodies]
    assert len(set(refs)) == len(refs) == truth["callbacks_total"]


@pytest.mark.parametrize("cumulative", [True, False])
async def test_an_incremental_run_continues_with_what_is_new(
    world: World, cumulative: bool
) -> None:
    knobs = {"action": CONNECTIONS, "parameters": INCREMENTAL, "outputs_are_cumulative": cumulative}
    first = await world.run(4, **knobs)
    before = await world.true_results(first["run_uid"])
    answered = (await world.api.post(f"/runs/{first['run_uid']}/continue")).json()
    assert (answered["status"], answered["uid"]) == ("SCHEDULED", first["run_uid"])
    second = await world.settled(first["run_uid"])
    after = await world.walk(f"/runs/{first['run_uid']}/outputs")
    assert len(after) == second["results_total"]
    new = after[len(before) :] if cumulative else after
    if cumulative:
        assert after[: len(before)] == before
    assert new
    ids = [each["linkedin_profile_id"] for each in (*before, *new)]
    assert len(set(ids)) == len(ids)
    assert len(world.receiver.results) == len(ids)


async def test_only_what_is_allowed_can_be_done_to_a_run(world: World) -> None:
    ended = await world.run(1)
    incremental = await world.launch(
        50, action=CONNECTIONS, parameters=INCREMENTAL, callbacks_per_second=10
    )

    async def refused(run_uid: str, what: str) -> bool:
        response = await world.api.post(f"/runs/{run_uid}/{what}")
        return response.status_code == 400 and "error_label" in response.json()

    assert await refused(ended["run_uid"], "cancel")
    assert await refused(ended["run_uid"], "resume")
    assert await refused(ended["run_uid"], "continue")  # it is not incremental
    assert await refused(incremental, "resume")
    assert await refused(incremental, "continue")  # it is still going
    assert not await refused(incremental, "cancel")
    assert await refused(incremental, "cancel")
