"""Whatever happens on the way, a run that has ended ends proven, or says what is missing.

Callbacks get lost, come late, twice, and again under other ids; passes are killed at any
entry; the collector is restarted and rebuilt. `COLLECTOR_SOAK=N` tries N examples of each.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from app.canonical import canonical
from app.store.views import RunView
from tests.databases import postgres
from tests.reconcile.world import (
    PASSES_MAX,
    Collecting,
    Edges,
    collecting,
    configured,
    simulated_edges,
)
from tests.soak import examples

PROFILE: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": list(HealthCheck),
}

Json = dict[str, Any]

SHARE = st.sampled_from([0.0, 0.0, 0.2, 0.5, 1.0])


@dataclass
class Plan:
    """What is launched, what goes wrong, and what happens meanwhile."""

    inputs: list[Json]
    on: str | None
    knobs: Json
    rounds: int
    events: list[str]
    seed: int
    parameters: Json = field(default_factory=dict)


@st.composite
def a_plan(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 7))
    inputs: list[Json] = [
        {"url": f"https://l/{n}", "custom_data": {"row": n}} for n in range(count)
    ]
    match draw(st.sampled_from(["own", "own", "twins", "one list", "none"])):
        case "twins":
            inputs[-1] = inputs[0]
        case "one list":
            inputs = [{**one, "custom_data": {"list": "all"}} for one in inputs]
        case "none":
            inputs = [{"url": one["url"]} for one in inputs]
    lost = draw(st.sampled_from(["drop_share", "lie_share", "withheld_share"]))
    on = draw(st.sampled_from(["all", "all", "all", "final", None]))
    rounds = draw(st.sampled_from([1, 1, 1, 2, 3]))
    knobs = {
        "seed": draw(st.integers(0, 10**6)),
        "results_per_input": draw(st.sampled_from([(1, 9), (0, 4), (0, 0)])),
        "page_size": draw(st.sampled_from([1, 2, 3, 10])),
        "batch_size": draw(st.sampled_from([1, 3])),
        "failed_share": draw(st.sampled_from([0.0, 0.3])),
        "blocked_share": draw(st.sampled_from([0.0, 0.2])),
        "overlap_share": draw(st.sampled_from([0.0, 0.4])),
        "status_scope": draw(st.sampled_from(["input", "run"])),
        "reorder_window": draw(st.sampled_from([1, 5])),
        "duplicate_share": draw(st.sampled_from([0.0, 0.3])),
        lost: draw(SHARE),
        "replay_keeps_ref": draw(st.booleans()),
        "ref_is_record_uid": draw(st.booleans()),
        "callback_has_input": draw(st.booleans()),
        "callback_has_batch_uid": draw(st.booleans()),
        "page_limit_max": draw(st.sampled_from([1, 2, 5, 500])),
        "outputs_are_cumulative": draw(st.booleans()),
        "inputs_shift": draw(st.sampled_from(["never", "between_walks"])),
    }
    events = draw(
        st.lists(
            st.sampled_from(
                ["take", "take", "take again", "pass", "killed pass", "restart", "rebuild"]
            ),
            min_size=3,
            max_size=6,
        )
    )
    parameters = {"sync_mode": "incremental"} if rounds > 1 else {}
    return Plan(inputs, on, knobs, rounds, events, draw(st.integers(0, 2**16)), parameters)


@dataclass
class Running:
    """The simulated Edges, for as long as the module's tests last."""

    runner: asyncio.Runner
    edges: Edges


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        edges = runner.run(stack.enter_async_context(simulated_edges()))
        yield Running(runner, edges)
        runner.run(stack.aclose())


@pytest.mark.parametrize("part", range(2))
@settings(max_examples=examples(25), **PROFILE)
@given(plan=a_plan())
def test_a_run_ends_proven_or_says_what_is_missing(running: Running, part: int, plan: Plan) -> None:
    converges(running, "sqlite", plan)


@pytest.mark.parametrize("part", range(2))
@settings(max_examples=examples(8), **PROFILE)
@given(plan=a_plan())
def test_it_does_so_on_postgres(running: Running, part: int, plan: Plan) -> None:
    postgres()  # found once, outside of what is tried again and again
    converges(running, "postgres", plan)


def converges(running: Running, kind: str, plan: Plan) -> None:
    note(repr(plan))
    with configured(kind) as wanted:

        async def trying() -> None:
            async with collecting(running.edges, wanted) as world:
                await converge(running.edges, world, plan)

        running.runner.run(trying())


async def converge(edges: Edges, world: Collecting, plan: Plan) -> None:
    rng = Random(plan.seed)
    run_uid = await edges.launch(plan.inputs, on=plan.on, parameters=plan.parameters, **plan.knobs)
    bodies = edges.bodies.setdefault(run_uid, [])
    taken = 0
    due = Due()
    for number in range(plan.rounds):
        if number:
            await reconciled(world, run_uid)
            if not plan.knobs["outputs_are_cumulative"]:  # Edges forgets what it had
                due = await due.with_those_of(edges, run_uid)
            await world.passing(run_uid).baseline()
            await world.passing(run_uid).act("continue")
        await edges.settled(run_uid)
        for event in plan.events:
            taken += await happen(world, event, run_uid, bodies, taken, rng)
    rest = bodies[taken:]
    rng.shuffle(rest)
    await world.take(rest)
    run = await reconciled(world, run_uid)
    await check(edges, world, run, await due.with_those_of(edges, run_uid))
    await world.rebuild()
    assert facts(await world.run(run_uid)) == facts(run)


@dataclass(frozen=True)
class Due:
    """Results that Edges has, or had, of a run; some it gives to nobody."""

    obtainable: Counter[bytes] = field(default_factory=Counter)
    withheld: Counter[bytes] = field(default_factory=Counter)

    async def with_those_of(self, edges: Edges, run_uid: str) -> "Due":
        return Due(
            self.obtainable + await edges.results(run_uid, "obtainable"),
            self.withheld + await edges.results(run_uid, "withheld"),
        )


async def happen(  # noqa: PLR0917 - all of it is what happens to it
    world: Collecting, event: str, run_uid: str, bodies: list[bytes], taken: int, rng: Random
) -> int:
    """One event; how many callbacks it took, of `bodies` from the place `taken` on."""
    coming, gone = bodies[taken:], bodies[:taken]
    match event:
        case "take":
            some = coming[: rng.randint(0, len(coming))]
            await world.take(some)
            return len(some)
        case "take again":
            await world.take(rng.choices(gone, k=3) if gone else [])
        case "pass":
            await world.reconcile(run_uid)
        case "killed pass":
            await world.reconcile(run_uid, killed_after=rng.randint(0, 8))
            await world.restart()
        case "restart":
            await world.restart()
        case "rebuild":
            await world.rebuild()
    return 0


async def reconciled(world: Collecting, run_uid: str) -> RunView:
    """The run after as many passes as can change anything."""
    for _ in range(PASSES_MAX):
        await world.projected()
        await world.reconcile(run_uid)
        run = await world.run(run_uid)
        if run.completeness == "complete":
            break
        await asyncio.sleep(0.002)
    return run


async def check(edges: Edges, world: Collecting, run: RunView, due: Due) -> None:
    truth = await edges.truth(run.run_uid)
    results = await world.results(run.run_uid)
    assert Counter(canonical(one["data"]) for one in results) == due.obtainable, facts(run)
    assert len({one["result_id"] for one in results}) == len(results)
    shown = [
        (one["input_uid"], one["status"], one["error"] and one["error"]["label"])
        for one in await world.inputs(run.run_uid)
    ]
    assert sorted(shown) == sorted(
        (one["uid"], one["status"], one["error_label"]) for one in truth["inputs"]
    )
    assert run.status == truth["status"]
    assert run.expected_results == due.obtainable.total() + due.withheld.total(), facts(run)
    if due.withheld:
        assert run.completeness == "incomplete"
        assert run.missing == f'{{"results":{due.withheld.total()},"inputs":0}}'
    else:
        assert run.completeness == "complete", facts(run)


def facts(run: RunView) -> Json:
    return {
        "status": run.status,
        "completeness": run.completeness,
        "results": run.results,
        "expected": run.expected_results,
        "missing": run.missing,
        "inputs": (run.inputs, run.inputs_succeeded, run.inputs_failed),
        "lost": (run.lost_results, run.lost_inputs),
        "told": run.told and (run.told.from_outputs, run.told.readings, run.told.is_reset),
    }
