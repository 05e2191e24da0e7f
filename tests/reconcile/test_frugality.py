"""A large run on the smallest plan, by a clock that runs fast, across three kills.

`COLLECTOR_SOAK=1` takes 100,000 inputs in pages of 500, as Edges has them; else as many pages
of fewer inputs.
"""

import asyncio
import os
from time import monotonic
from typing import Any

import pytest

from app.reconcile.budget import FairBudget, LocalLedger
from app.simulator import Scenario
from tests.reconcile.world import (
    Collecting,
    Edges,
    collecting,
    configured,
    inputs_of,
    simulated_edges,
)

IS_SOAK = "COLLECTOR_SOAK" in os.environ
INPUTS, PAGE = (100_000, 500) if IS_SOAK else (3_000, 15)
PAGES = INPUTS // PAGE
PER_MINUTE = 30
CLOCK_RATE = 60.0 if IS_SOAK else 240.0
KILLED_AFTER = (50, 120, 200)


class FastBudget(FairBudget):
    """A budget that lives by the simulated clock."""

    def __init__(self) -> None:
        super().__init__(LocalLedger(clock=lambda: monotonic() * CLOCK_RATE))

    async def _news_within(self, wait_s: float) -> None:
        await super()._news_within(wait_s / CLOCK_RATE)


@pytest.mark.timeout(1_800 if IS_SOAK else 300)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_large_run_is_proven_within_the_smallest_budget_across_three_kills(kind: str) -> None:
    scenario = Scenario(
        seed=11,
        results_per_input=(1, 1),
        result_templates=200,
        drop_share=0.1,
        page_limit_max=PAGE,
        requests_per_minute=PER_MINUTE,
        clock_rate=CLOCK_RATE,
        concurrency=64,
    )
    with configured(kind) as wanted:

        async def trying() -> None:
            async with (
                simulated_edges(scenario, FastBudget()) as edges,
                collecting(edges, wanted) as world,
            ):
                await reconciled_across_kills(edges, world)

        asyncio.run(trying())


async def reconciled_across_kills(edges: Edges, world: Collecting) -> None:
    run_uid = await edges.launch(inputs_of(INPUTS), on="all")
    taken = 0
    while not (await edges.truth(run_uid, inputs=False))["settled"]:
        await asyncio.sleep(0.1)
        bodies = edges.bodies.setdefault(run_uid, [])
        new = bodies[taken : taken + 5_000]
        await world.take(new)
        taken += len(new)
    await world.take(edges.bodies[run_uid][taken:])
    await world.projected()
    before = await world.run(run_uid)
    assert before.results < INPUTS
    await edges.api.delete(f"{edges.edges.origin}/_simulator/requests")
    for entries in KILLED_AFTER:
        assert await world.reconcile(run_uid, killed_after=entries) is None
        await world.restart()
    await world.reconcile(run_uid)
    run = await world.run(run_uid)
    assert (run.completeness, run.results, run.inputs) == ("complete", INPUTS, INPUTS)
    assert run.lost_results == INPUTS - before.results
    asked: Any = (await edges.api.get(f"{edges.edges.origin}/_simulator/requests")).json()
    assert set(asked["by_status"]) == {"200"}, asked  # never refused for asking too often
    # Two lists, the failed callbacks (ten pages at most), and the run itself at each start.
    assert asked["total"] <= 1.05 * (2 * PAGES + 10) + len(KILLED_AFTER) + 1, asked
