"""The control plane tells the truth, and its levers work."""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable

import orjson
import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio

OpenWorld = Callable[..., Awaitable[World]]
ONE_EACH = {"results_per_input": [1, 1]}


async def test_the_fate_of_each_callback_is_told(world: World) -> None:
    truth = await world.run(
        60, **ONE_EACH, drop_share=0.2, lie_share=0.2, withheld_share=0.2, concurrency=1
    )
    told = await world.true_lines(truth["run_uid"], "/callbacks")
    fates = Counter(each["fate"] for each in told)
    assert set(fates) == {"sent", "dropped", "lied", "withheld"}
    assert fates["dropped"] + fates["lied"] == truth["callbacks_dropped"]
    assert fates["withheld"] == truth["callbacks_withheld"]
    arrived = {body["callback_ref_uid"] for body in world.receiver.bodies}
    assert arrived == {each["callback_ref_uid"] for each in told if each["fate"] == "sent"}
    assert await world.true_lines(truth["run_uid"], "/callbacks?fate=lied&fate=dropped") == [
        each for each in told if each["fate"] in ("lied", "dropped")
    ]
    assert [each["input_index"] for each in told] == list(range(60))


async def test_results_are_told_as_digests_with_their_place(world: World) -> None:
    truth = await world.run(5, results_per_input=[3, 3], withheld_share=0.5)
    whole = await world.true_results(truth["run_uid"])
    digests = await world.true_lines(truth["run_uid"], "/results?as=digests")
    assert [each["digest"] for each in digests] == [
        hashlib.sha256(orjson.dumps(result, option=orjson.OPT_SORT_KEYS)).hexdigest()
        for result in whole
    ]
    assert sum(each["is_withheld"] for each in digests) == truth["results_withheld"]
    assert [(each["input_index"], each["page"]) for each in digests[:4]] == [
        *((0, 0), (0, 0), (0, 1), (1, 0))
    ]


async def test_requests_are_counted_by_route(open_world: OpenWorld) -> None:
    world = await open_world()
    truth = await world.run(3)
    await world.control("DELETE", "/requests")
    await world.walk(f"/runs/{truth['run_uid']}/inputs?limit=1")
    await world.callbacks(truth["run_uid"])
    await world.api.get("/runs/none")
    await world.api.get("/elsewhere")
    assert await world.control("GET", "/requests") == {
        "total": 6,
        "by_route": {
            "GET /runs/{run_uid}/inputs": 3,
            "GET /runs/callbacks": 1,
            "GET /runs/{run_uid}": 1,
            "unknown": 1,
        },
        "by_status": {"200": 4, "404": 2},
    }
    url = f"{world.edges.origin}/_simulator/requests/log"
    lines = [orjson.loads(line) for line in (await world.api.get(url)).content.splitlines()]
    assert [line["status"] for line in lines] == [200] * 4 + [404] * 2
    assert lines[0]["path"] == f"/v1/runs/{truth['run_uid']}/inputs"
    assert lines[0]["query"] == "limit=1"


async def test_knobs_change_while_it_runs(open_world: OpenWorld) -> None:
    world = await open_world()
    await world.control("PATCH", "/scenario", storm_every=1, failed_share=1.0)
    assert (await world.api.get("/runs")).status_code >= 500
    changed = await world.control("PATCH", "/scenario", storm_every=None)
    assert (changed["storm_every"], changed["failed_share"], changed["seed"]) == (None, 1.0, 7)
    assert (await world.run(3))["status"] == "FAILED"
    assert await world.control("GET", "/scenario") == changed


@pytest.mark.parametrize("knobs", [{"seed": 2}, {"clock_rate": 2}, {"nonsense": 1}, {"slow_s": -1}])
async def test_some_knobs_cannot_be_changed(world: World, knobs: dict[str, float]) -> None:
    url = f"{world.edges.origin}/_simulator/scenario"
    refused = await world.api.patch(url, json=knobs)
    assert (refused.status_code, refused.json()["error_label"]) == (400, "BAD_PARAMETERS")


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"advance_s": -1}', b'{"rate": "fast"}'])
async def test_a_lever_refuses_what_it_does_not_understand(world: World, body: bytes) -> None:
    url = f"{world.edges.origin}/_simulator/clock"
    assert (await world.api.post(url, content=body)).status_code == 400


async def test_an_archived_run_is_gone_from_the_api(world: World) -> None:
    truth = await world.run(2, **ONE_EACH)
    run_uid = truth["run_uid"]
    (record, _) = await world.callbacks(run_uid)
    await world.control("POST", f"/runs/{run_uid}/archive")
    for path in ("", "/status", "/inputs", "/outputs"):
        assert (await world.api.get(f"/runs/{run_uid}{path}")).status_code == 404
    assert (await world.api.get(f"/runs/callbacks/{record['uid']}")).status_code == 404
    assert await world.callbacks(run_uid) == []
    assert await world.get(f"/runs?uid={run_uid}") == []
    assert (await world.truth(run_uid))["is_archived"] is True


async def test_runs_are_archived_by_age(open_world: OpenWorld) -> None:
    world = await open_world(clock_rate=0)
    truth = await world.run(1)
    await world.control("POST", "/clock", advance_s=90 * 86_400 - 1)
    assert (await world.api.get(f"/runs/{truth['run_uid']}")).status_code == 200
    await world.control("POST", "/clock", advance_s=1)
    assert (await world.api.get(f"/runs/{truth['run_uid']}")).status_code == 404


async def test_results_are_added_to_a_run_of_any_kind(world: World) -> None:
    first = await world.run(3)
    await world.control("POST", f"/runs/{first['run_uid']}/continue")
    second = await world.settled(first["run_uid"])
    assert second["results_total"] > first["results_total"]
    assert len(world.receiver.results) == second["results_total"]
    told = await world.control("POST", f"/runs/{first['run_uid']}/continue", silently=True)
    assert told["status"] == "SUCCEEDED"
    assert told["results_total"] > second["results_total"] == len(world.receiver.results)
    outputs = await world.walk(f"/runs/{first['run_uid']}/outputs")
    assert len(outputs) == told["results_total"]
