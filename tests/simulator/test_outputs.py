"""What `/outputs` hands out, and what it keeps for itself."""

import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio


async def test_withheld_results_count_and_are_found_nowhere(world: World) -> None:
    truth = await world.run(30, results_per_input=[3, 7], page_size=2, withheld_share=0.2)
    run_uid = truth["run_uid"]
    lost = await world.true_lines(run_uid, "/results?which=withheld")
    outputs = await world.walk(f"/runs/{run_uid}/outputs?limit=5")
    assert outputs == await world.true_lines(run_uid, "/results?which=obtainable")
    assert sorted(map(repr, world.receiver.results)) == sorted(map(repr, outputs))
    assert not {repr(each) for each in lost} & {repr(each) for each in outputs}
    assert len(lost) == truth["results_withheld"] > 10
    run = await world.get(f"/runs/{run_uid}")
    assert run["output_count"] == truth["results_total"] == len(lost) + len(outputs)
    inputs = await world.walk(f"/runs/{run_uid}/inputs")
    assert sum(each["output_count"] for each in inputs) == run["output_count"]
    assert truth["callbacks_sent"] + truth["callbacks_withheld"] == truth["callbacks_total"]


async def test_pages_by_offset_and_by_cursor_agree_where_results_are_withheld(
    world: World,
) -> None:
    truth = await world.run(8, results_per_input=[3, 7], page_size=2, withheld_share=0.4)
    path = f"/runs/{truth['run_uid']}/outputs"
    whole = await world.walk(f"{path}?limit=500")
    for limit in (1, 2, 3):
        assert await world.walk(f"{path}?limit={limit}") == whole
    assert await world.get(f"{path}?limit=4&offset=3") == whole[3:7]
    assert await world.get(f"{path}?offset={len(whole)}") == []


async def test_a_final_callback_is_never_withheld(world: World) -> None:
    truth = await world.run(3, on="final", withheld_share=1.0)
    assert len(world.receiver.bodies) == 1
    assert await world.get(f"/runs/{truth['run_uid']}/outputs") == []
    assert truth["results_withheld"] == truth["results_total"] > 0


@pytest.mark.parametrize(("lie_share", "status"), [(0.0, "FAILED"), (1.0, "SUCCESS")])
async def test_the_replay_of_a_withheld_callback_fails(
    world: World, lie_share: float, status: str
) -> None:
    truth = await world.run(1, results_per_input=[1, 1], withheld_share=1.0, lie_share=lie_share)
    (original,) = await world.callbacks(truth["run_uid"])
    assert original["status"] == status
    answered = await world.api.post(f"/runs/callbacks/{original['uid']}/replay")
    assert (answered.status_code, answered.json()["status"]) == (200, "PENDING")
    again = await world.get(f"/runs/callbacks/{answered.json()['uid']}")
    assert (again["status"], again["error"]["error_label"]) == ("FAILED", "INTEGRATION_ERROR")
    assert world.receiver.bodies == []


async def test_the_replay_of_a_withheld_callback_may_be_refused(world: World) -> None:
    truth = await world.run(
        1, results_per_input=[1, 1], withheld_share=1.0, withheld_replay="refused"
    )
    (original,) = await world.callbacks(truth["run_uid"])
    refused = await world.api.post(f"/runs/callbacks/{original['uid']}/replay")
    assert (refused.status_code, refused.json()["error_label"]) == (400, "BAD_PARAMETERS")
    assert len(await world.callbacks(truth["run_uid"])) == 1


async def test_results_from_templates_are_the_same_everywhere_and_no_two_are_equal(
    world: World,
) -> None:
    truth = await world.run(50, results_per_input=[3, 3], result_templates=4)
    outputs = await world.walk(f"/runs/{truth['run_uid']}/outputs?limit=60")
    assert len({each["linkedin_profile_id"] for each in outputs}) == 150
    assert len({each["linkedin_profile_url"] for each in outputs}) == 150
    assert len({each["about"] for each in outputs}) <= 4
    assert sorted(map(repr, world.receiver.results)) == sorted(map(repr, outputs))
