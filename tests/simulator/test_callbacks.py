"""Bodies of callbacks, their records, and their replay."""

import asyncio
from uuid import UUID

import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio

RECORD_KEYS = {
    *("uid", "parent_uid", "retry_count", "created_at", "status", "callback_url", "http_status"),
    *("http_response", "batch_uid", "run_uid", "error", "workspace_uid"),
}


async def test_a_body_carries_a_page_of_one_input(world: World) -> None:
    truth = await world.run(3, results_per_input=[5, 5], page_size=2, concurrency=1)
    bodies = world.receiver.bodies
    assert [len(body["results"]) for body in bodies] == [2, 2, 1] * 3
    first = bodies[0]
    assert set(first) == {"callback_ref_uid", "run", "custom_data", "input", "results"}
    assert set(first["run"]) == {"run_uid", "batch_uid", "status"}
    assert first["run"]["run_uid"] == truth["run_uid"]
    assert (first["custom_data"], first["input"]) == (
        {"row": 0},
        {"linkedin_profile_url": "https://l/0"},
    )
    assert UUID(first["callback_ref_uid"]).version == 4
    assert world.receiver.headers[0]["authorization"] == "Bearer token"
    assert world.receiver.headers[0]["content-type"] == "application/json"


async def test_a_failure_carries_the_standard_error_and_no_results(world: World) -> None:
    truth = await world.run(30, failed_share=0.5, blocked_share=0.5)
    assert len(world.receiver.bodies) == 30
    for body in world.receiver.bodies:
        true = truth["inputs"][body["custom_data"]["row"]]
        assert body["run"]["status"] == true["status"]
        assert body["error"]["error_label"] == true["error_label"]
        assert set(body["error"]) == {
            *("error_label", "error_scope", "error_ref", "message", "status_code", "params")
        }
        assert body["results"] == []


async def test_an_input_without_custom_data_has_none_in_its_callback(world: World) -> None:
    body = {"inputs": [{"a": 1}], "callback": {"url": world.receiver.url}}
    launched = await world.api.post("/actions/linkedin-extract-people/run/async", json=body)
    await world.settled(launched.json()["run_uid"])
    assert all("custom_data" not in body for body in world.receiver.bodies)


async def test_a_status_speaks_of_the_input_or_of_the_run(world: World) -> None:
    knobs = {"results_per_input": [5, 5], "page_size": 2, "concurrency": 1}
    await world.run(2, **knobs, status_scope="input")
    await world.run(2, **knobs, status_scope="run")
    statuses = [body["run"]["status"] for body in world.receiver.bodies]
    running, done = "RUNNING", "SUCCEEDED"
    assert statuses[:6] == [running, running, done] * 2
    assert statuses[6:] == [running] * 5 + [done]


async def test_a_failing_input_does_not_show_in_the_status_of_the_run(world: World) -> None:
    truth = await world.run(20, failed_share=0.5, status_scope="run", concurrency=1)
    *before, last = [body["run"]["status"] for body in world.receiver.bodies]
    assert set(before) == {"RUNNING"}
    assert last == truth["status"] == "PARTIAL_SUCCEEDED"


async def test_final_sends_one_callback_when_all_is_done(world: World) -> None:
    truth = await world.run(20, on="final")
    (body,) = world.receiver.bodies
    assert set(body) == {"callback_ref_uid", "run"}
    assert body["run"]["status"] == truth["status"] == "SUCCEEDED"
    assert len(await world.walk(f"/runs/{truth['run_uid']}/outputs")) == truth["results_total"] > 0


async def test_a_run_without_a_callback_is_only_fetched(world: World) -> None:
    truth = await world.run(5, callback=False)
    assert (truth["status"], truth["callbacks_total"]) == ("SUCCEEDED", 0)
    assert len(await world.walk(f"/runs/{truth['run_uid']}/outputs")) == truth["results_total"]


async def test_a_run_may_never_send_a_callback_though_it_was_asked_to(world: World) -> None:
    truth = await world.run(5, callbacks_withheld=True)
    assert (truth["status"], truth["callbacks_total"]) == ("SUCCEEDED", 0)
    assert world.receiver.bodies == await world.callbacks(truth["run_uid"]) == []
    run = await world.get(f"/runs/{truth['run_uid']}")
    assert run["callback"] == {"url": world.receiver.url}
    assert len(await world.walk(f"/runs/{truth['run_uid']}/outputs")) == run["output_count"] > 0


async def test_a_body_may_carry_no_input_and_no_batch(world: World) -> None:
    truth = await world.run(5, callback_has_input=False, callback_has_batch_uid=False)
    assert all("input" not in body and body["custom_data"] for body in world.receiver.bodies)
    assert {body["run"]["batch_uid"] for body in world.receiver.bodies} == {None}
    records = await world.callbacks(truth["run_uid"])
    assert {record["batch_uid"] for record in records} == {None}


async def test_batches_are_chunks_of_the_inputs(world: World) -> None:
    await world.run(10, batch_size=4)
    rows: dict[str, set[int]] = {}
    for body in world.receiver.bodies:
        rows.setdefault(body["run"]["batch_uid"], set()).add(body["custom_data"]["row"])
    assert sorted(map(sorted, rows.values())) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_records_tell_of_deliveries_without_payloads(world: World) -> None:
    truth = await world.run(10)
    records = await world.callbacks(truth["run_uid"])
    assert len(records) == truth["callbacks_total"] == truth["callbacks_delivered"]
    assert {frozenset(record) for record in records} == {frozenset(RECORD_KEYS)}
    assert {record["uid"] for record in records} == {
        body["callback_ref_uid"] for body in world.receiver.bodies
    }
    assert {(each["status"], each["http_status"]) for each in records} == {("SUCCESS", 200)}
    assert await world.get(f"/runs/callbacks/{records[0]['uid']}") == records[0]


async def test_the_ref_of_a_body_may_differ_from_the_uid_of_its_record(world: World) -> None:
    truth = await world.run(3, ref_is_record_uid=False)
    uids = {record["uid"] for record in await world.callbacks(truth["run_uid"])}
    refs = {body["callback_ref_uid"] for body in world.receiver.bodies}
    assert len(refs) == len(uids)
    assert refs.isdisjoint(uids)


async def test_records_are_filtered_sorted_and_paged(world: World) -> None:
    one = await world.run(2, results_per_input=[1, 1])
    two = await world.run(3, results_per_input=[1, 1], drop_share=1.0)
    both = f"run_uid={one['run_uid']}&run_uid={two['run_uid']}"

    async def runs_of(query: str) -> list[str]:
        found = await world.get(f"/runs/callbacks?{both}&{query}")
        return [record["run_uid"] for record in found]

    a, b = one["run_uid"], two["run_uid"]
    assert await runs_of("") == [a, a, b, b, b]
    assert await runs_of("sort=-created_at") == [b, b, b, a, a]
    assert await runs_of("status=FAILED") == [b, b, b]
    assert await runs_of("status=FAILED&status=SUCCESS&limit=2&offset=1") == [a, b]
    assert (await world.api.get("/runs/callbacks?limit=101")).status_code == 400
    assert (await world.api.get("/runs/callbacks?status=LOST")).status_code == 400


@pytest.mark.parametrize("keeps_ref", [True, False])
async def test_a_replay_sends_the_same_page_under_a_new_record(
    world: World, keeps_ref: bool
) -> None:
    truth = await world.run(1, results_per_input=[1, 1], replay_keeps_ref=keeps_ref)
    (original,) = await world.callbacks(truth["run_uid"])
    answered = await world.api.post(f"/runs/callbacks/{original['uid']}/replay")
    assert answered.status_code == 200
    assert answered.json()["parent_uid"] == original["uid"] != answered.json()["uid"]
    await world.settled(truth["run_uid"])
    first, again = world.receiver.bodies
    named = original["uid"] if keeps_ref else answered.json()["uid"]
    assert again == first | {"callback_ref_uid": named}
    record = await world.get(f"/runs/callbacks/{answered.json()['uid']}")
    assert (record["status"], record["batch_uid"]) == ("SUCCESS", original["batch_uid"])


async def test_only_originals_are_replayed_and_three_times_at_most(world: World) -> None:
    truth = await world.run(1, results_per_input=[1, 1])
    (original,) = await world.callbacks(truth["run_uid"])
    path = f"/runs/callbacks/{original['uid']}/replay"
    replays = [await world.api.post(path) for _ in range(4)]
    assert [replay.status_code for replay in replays] == [200, 200, 200, 400]
    of_a_replay = await world.api.post(f"/runs/callbacks/{replays[0].json()['uid']}/replay")
    assert (of_a_replay.status_code, of_a_replay.json()["error_label"]) == (400, "BAD_PARAMETERS")
    await world.settled(truth["run_uid"])
    assert len(world.receiver.bodies) == 4


async def test_a_stopped_run_sends_nothing_but_replays(world: World) -> None:
    run_uid = await world.launch(50, callbacks_per_second=100, results_per_input=[1, 1])
    await world.receiver.has_received(2)
    await world.api.post(f"/runs/{run_uid}/cancel")
    await world.settled(run_uid)
    count = len(world.receiver.bodies)
    records = await world.callbacks(run_uid, "&status=SUCCESS")
    await world.api.post(f"/runs/callbacks/{records[0]['uid']}/replay")
    await world.settled(run_uid)
    await asyncio.sleep(0.05)
    assert len(world.receiver.bodies) == count + 1
