"""Each fault on the way of callbacks does what its knob says."""

from itertools import pairwise

import pytest

from tests.simulator.world import World

pytestmark = pytest.mark.anyio

ONE_EACH = {"results_per_input": [1, 1]}


def rows(world: World) -> list[int]:
    return [body["custom_data"]["row"] for body in world.receiver.bodies]


async def test_without_faults_each_comes_once_and_in_order(world: World) -> None:
    truth = await world.run(30, **ONE_EACH, concurrency=1)
    assert rows(world) == list(range(30))
    assert truth["deliveries"] == truth["callbacks_sent"] == truth["callbacks_delivered"] == 30


async def test_reordering_stays_within_its_window(world: World) -> None:
    await world.run(40, **ONE_EACH, concurrency=1, reorder_window=8)
    arrived = rows(world)
    assert arrived != sorted(arrived) == list(range(40))
    assert all(abs(place - row) < 8 for place, row in enumerate(arrived))


async def test_duplicates_are_the_same_body_again(world: World) -> None:
    truth = await world.run(40, **ONE_EACH, duplicate_share=0.5)
    bodies = world.receiver.bodies
    assert 5 < truth["duplicates_sent"] == len(bodies) - 40 < 35
    assert truth["deliveries"] == len(bodies)
    assert len({repr(body) for body in bodies}) == 40


async def test_dropped_callbacks_are_recorded_as_failed_or_falsely_as_sent(world: World) -> None:
    truth = await world.run(60, **ONE_EACH, drop_share=0.3, lie_share=0.3)
    arrived = set(rows(world))
    records = await world.callbacks(truth["run_uid"])
    failed = [each for each in records if each["status"] == "FAILED"]
    lost = [
        each
        for index, each in enumerate(records)
        if each["status"] == "SUCCESS" and index not in arrived
    ]
    assert min(len(failed), len(lost), len(arrived)) > 5
    assert len(failed) + len(lost) == truth["callbacks_dropped"] == 60 - len(arrived)
    assert truth["callbacks_sent"] == len(arrived)
    assert {each["error"]["error_label"] for each in failed} == {"INTEGRATION_ERROR"}
    assert truth["results_total"] == 60


async def test_a_lost_callback_comes_back_by_replay(world: World) -> None:
    truth = await world.run(1, **ONE_EACH, drop_share=1.0)
    (record,) = await world.callbacks(truth["run_uid"], "&status=FAILED")
    await world.api.post(f"/runs/callbacks/{record['uid']}/replay")
    await world.settled(truth["run_uid"])
    assert rows(world) == [0]


async def test_a_callback_is_retried_with_the_same_body_until_a_2xx(world: World) -> None:
    world.receiver.statuses = [503, 302]
    truth = await world.run(1, **ONE_EACH)
    first, second, third = world.receiver.bodies
    assert first == second == third
    (record,) = await world.callbacks(truth["run_uid"])
    assert (record["status"], record["http_status"], record["retry_count"]) == ("SUCCESS", 200, 2)
    assert (truth["callbacks_sent"], truth["deliveries"]) == (1, 3)


async def test_retries_end(world: World) -> None:
    world.receiver.statuses = [500] * 9
    truth = await world.run(1, **ONE_EACH, retry_limit=1)
    (record,) = await world.callbacks(truth["run_uid"])
    assert (record["status"], record["http_status"], record["retry_count"]) == ("FAILED", 500, 1)
    assert (truth["callbacks_given_up"], len(world.receiver.bodies)) == (1, 2)


async def test_a_slow_answer_counts_as_none(world: World) -> None:
    world.receiver.delay_s = 0.3
    truth = await world.run(1, **ONE_EACH, retry_limit=0, callback_timeout_s=0.1)
    (record,) = await world.callbacks(truth["run_uid"])
    assert (record["status"], record["http_status"]) == ("FAILED", None)
    assert "0.1 s" in record["error"]["message"]


async def test_nobody_at_home_is_a_failure_too(world: World) -> None:
    world.receiver.url = "http://127.0.0.1:9/"
    truth = await world.run(1, **ONE_EACH, retry_limit=1)
    (record,) = await world.callbacks(truth["run_uid"])
    assert (record["status"], record["http_status"], record["retry_count"]) == ("FAILED", None, 1)


async def test_delays_hold_callbacks_back_and_mix_them(world: World) -> None:
    await world.run(20, **ONE_EACH, delay_s=[0.1, 0.3])
    assert rows(world) != list(range(20))
    spread_s = world.receiver.arrived_at[-1] - world.receiver.arrived_at[0]
    assert spread_s > 0.01


async def test_the_pace_is_kept(world: World) -> None:
    arrived_at = world.receiver.arrived_at
    for _ in range(5):  # on a busy machine one may be late, and others close behind it
        arrived_at.clear()
        await world.run(21, **ONE_EACH, callbacks_per_second=100)
        assert arrived_at[-1] - arrived_at[0] > 0.15
        if max(b - a for a, b in pairwise(arrived_at)) < 0.15:
            break
    else:
        pytest.fail(str(arrived_at))


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_only_so_many_are_under_way_at_once(world: World, concurrency: int) -> None:
    world.receiver.delay_s = 0.01
    await world.run(20, **ONE_EACH, concurrency=concurrency)
    assert world.receiver.at_once_max == concurrency


async def test_with_all_faults_at_once_the_truth_still_adds_up(world: World) -> None:
    world.receiver.statuses = [200, 500, 503] * 20
    truth = await world.run(
        60,
        failed_share=0.1,
        blocked_share=0.05,
        duplicate_share=0.2,
        drop_share=0.1,
        lie_share=0.1,
        overlap_share=0.2,
        reorder_window=20,
        delay_s=[0, 0.05],
        retry_limit=10,
    )
    assert truth["callbacks_sent"] + truth["callbacks_dropped"] == truth["callbacks_total"]
    assert truth["callbacks_delivered"] == truth["callbacks_sent"]
    assert truth["deliveries"] == len(world.receiver.bodies)
    outputs = await world.walk(f"/runs/{truth['run_uid']}/outputs?limit=500")
    assert len(outputs) == truth["results_total"]
