"""The server starts where it is told, is the same for the same seed, and leaves nothing behind."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from app.simulator import Scenario, SimulatedEdges, create_app, serve
from tests.simulator.world import World

pytestmark = pytest.mark.anyio


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_the_same_seed_gives_the_same_run(
    open_world: Callable[..., Awaitable[World]],
) -> None:
    orderly = await open_world(failed_share=0.2)
    messy = await open_world(
        failed_share=0.2, reorder_window=30, duplicate_share=0.3, delay_s=(0, 0.02)
    )
    one, two = await orderly.run(20), await messy.run(20)
    assert one["run_uid"] == two["run_uid"]
    assert one["inputs"] == two["inputs"]
    assert await orderly.true_results(one["run_uid"]) == await messy.true_results(two["run_uid"])
    bodies = [{repr(body) for body in world.receiver.bodies} for world in (orderly, messy)]
    assert bodies[0] == bodies[1]


async def test_overlapping_pages_repeat_byte_for_byte_and_count(world: World) -> None:
    truth = await world.run(5, results_per_input=[20, 20], page_size=4, overlap_share=0.4)
    run = await world.get(f"/runs/{truth['run_uid']}")
    outputs = await world.walk(f"/runs/{truth['run_uid']}/outputs?limit=9")
    assert len(outputs) == run["output_count"] == 100
    assert 40 < len({each["linkedin_profile_id"] for each in outputs}) < 90
    assert len({repr(each) for each in outputs}) == len(
        {each["linkedin_profile_id"] for each in outputs}
    )


async def test_leaving_ends_all_tasks_and_leaves_signals_alone() -> None:
    handler, before = signal.getsignal(signal.SIGTERM), asyncio.all_tasks()
    async with SimulatedEdges(Scenario(retry_delay_s=60)) as edges:
        assert signal.getsignal(signal.SIGTERM) is handler
        async with httpx2.AsyncClient(headers={"X-API-Key": edges.api_key}) as client:
            await client.post(
                f"{edges.base_url}/actions/linkedin-extract-people/run/async",
                json={"inputs": [{}] * 50, "callback": {"url": "http://127.0.0.1:9/"}},
                headers={"X-Simulator-Scenario": '{"callbacks_per_second": 20}'},
            )
            healthy = await client.get(f"{edges.origin}/_simulator/healthz")
            assert healthy.json() == {"status": "ok"}
    assert asyncio.all_tasks() == before


async def test_a_given_port_is_taken_and_freed() -> None:
    port = free_port()
    for _ in range(2):
        async with SimulatedEdges(port=port) as edges:
            assert edges.base_url == f"http://127.0.0.1:{port}/v1"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="in use"):
        await SimulatedEdges(port=port).__aenter__()


async def test_serve_runs_until_it_is_cancelled() -> None:
    port = free_port()
    serving = asyncio.create_task(serve("127.0.0.1", port, Scenario(), "key"))
    async with httpx2.AsyncClient(headers={"X-API-Key": "key"}) as client, asyncio.timeout(5):
        while True:
            try:
                answer = await client.get(f"http://127.0.0.1:{port}/v1/runs")
                break
            except httpx2.ConnectError:
                await asyncio.sleep(0.01)
    assert answer.json() == []
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    free = socket.create_server(("127.0.0.1", port))
    free.close()


def test_an_application_needs_no_server() -> None:
    assert create_app(Scenario(), api_key="key").routes
