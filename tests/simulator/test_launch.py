"""What a launch must say, and how the API refuses."""

from typing import Any

import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio

ERROR_KEYS = {"error_label", "error_scope", "error_ref", "message", "status_code", "params"}
GOOD: dict[str, Any] = {
    "inputs": [{"a": 1}],
    "identity_mode": "managed",
    "callback": {"url": "http://127.0.0.1:9/", "headers": {"X-A": "b"}, "on": "final"},
}


async def test_a_launch_answers_the_run_before_it_starts(world: World) -> None:
    response = await world.api.post("/actions/linkedin-extract-people/run/async", json=GOOD)
    assert response.status_code == 200
    run = response.json()
    assert set(run) == {
        *("run_id", "run_uid", "workspace_uid", "user_uid", "action_name", "status"),
        *("postponed_until", "created_at", "updated_at"),
    }
    assert (run["status"], run["action_name"]) == ("CREATED", "linkedin-extract-people")


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"inputs": None}, "MISSING_PARAMETER"),
        ({"inputs": []}, "BAD_INPUT"),
        ({"inputs": {"a": 1}}, "BAD_INPUT"),
        ({"inputs": [1]}, "BAD_INPUT"),
        ({"inputs": [{}] * 100_001}, "BAD_INPUT"),
        ({"inputs": [{"custom_data": "text"}]}, "BAD_INPUT"),
        ({"identity_mode": "other"}, "BAD_PARAMETERS"),
        ({"identity_ids": "one"}, "BAD_PARAMETERS"),
        ({"parameters": []}, "BAD_PARAMETERS"),
        ({"parameters": {"max_results": 0}}, "BAD_PARAMETERS"),
        ({"parameters": {"max_results": True}}, "BAD_PARAMETERS"),
        ({"parameters": {"sync_mode": "incremental"}}, "BAD_PARAMETERS"),
        ({"callback": "http://x/"}, "BAD_PARAMETERS"),
        ({"callback": {}}, "MISSING_PARAMETER"),
        ({"callback": {"url": "ftp://x/"}}, "BAD_PARAMETERS"),
        ({"callback": {"url": "http://x/", "on": "some"}}, "BAD_PARAMETERS"),
        ({"callback": {"url": "http://x/", "headers": {"A": "b\r\nC: d"}}}, "BAD_PARAMETERS"),
        ({"callback": {"url": "http://x/", "headers": {"Host": "y"}}}, "BAD_PARAMETERS"),
    ],
)
async def test_a_bad_launch_is_refused_by_label(
    world: World, change: dict[str, Any], label: str
) -> None:
    response = await world.api.post("/actions/any-action/run/async", json=GOOD | change)
    assert response.status_code == 400
    assert set(response.json()) == ERROR_KEYS
    assert (response.json()["error_label"], response.json()["status_code"]) == (label, 400)


async def test_a_body_that_is_no_json_is_refused(world: World) -> None:
    response = await world.api.post("/actions/any-action/run/async", content=b"{")
    assert (response.status_code, response.json()["error_label"]) == (400, "BAD_INPUT")


@pytest.mark.parametrize(
    "header", ["[]", "{", '{"no_such_knob": 1}', '{"seed": "x"}', '{"cut_share": 1}']
)
async def test_an_override_that_makes_no_sense_is_refused(world: World, header: str) -> None:
    response = await world.api.post(
        "/actions/any-action/run/async", json=GOOD, headers={"X-Simulator-Scenario": header}
    )
    assert response.status_code == 400
    assert set(response.json()) == ERROR_KEYS


async def test_an_override_holds_for_one_launch(world: World) -> None:
    assert (await world.run(4, results_per_input=[3, 3]))["results_total"] == 12
    assert (await world.run(4, results_per_input=[0, 0]))["results_total"] == 0


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_without_the_key_nothing_is_answered(world: World, key: str) -> None:
    response = await world.api.get("/runs", headers={"X-API-Key": key})
    assert (response.status_code, response.json()["status_code"]) == (401, 401)
    assert set(response.json()) == ERROR_KEYS


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/runs/none", 404),
        ("GET", "/runs/none/inputs", 404),
        ("POST", "/runs/none/cancel", 404),
        ("GET", "/runs/callbacks/none", 404),
        ("POST", "/actions/No_Slug/run/async", 400),
        ("GET", "/elsewhere", 404),
        ("DELETE", "/runs", 405),
    ],
)
async def test_what_is_not_there_is_refused_in_the_same_shape(
    world: World, method: str, path: str, status: int
) -> None:
    response = await world.api.request(method, path)
    assert response.status_code == status
    assert set(response.json()) == ERROR_KEYS
