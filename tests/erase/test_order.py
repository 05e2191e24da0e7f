"""Whenever a person is erased, before, between or after what names them, the end is the same."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canonical import canonical
from app.model import Arrival, Source
from app.project.rebuild import rebuild
from app.project.rework import rework
from app.store.database import opened_for_rebuild
from tests.callbacks import callback, encoded
from tests.databases import KINDS, emptied_database
from tests.erase.erasing import Erasing
from tests.erase.people import FIELD, PERSON, jane, other
from tests.project.test_merge import arrival, exported, project
from tests.project.test_telling import PROFILE, RUN, answer
from tests.soak import examples

RESULTS = (
    jane(),
    jane(n=1),
    other(1),
    other(2),
    other(3, mutual=[jane(), other(4)]),
    other(5, mutual=[jane()], posts=[{"by": {"who": jane()}}, {"by": other(6)}]),
)
INPUTS: Sequence[dict[str, Any]] = (
    {"input": {FIELD: PERSON}, "custom_data": {"crm": 1}},
    {"input": {FIELD: PERSON}, "custom_data": {"crm": 2}},
    {"input": {"url": "https://a.example"}, "custom_data": {"of": {FIELD: PERSON}}},
    {"input": {"url": "https://b.example"}, "custom_data": {"crm": 3}},
)
NO_RESULT = {"error_label": "NO_RESULT", "message": "nobody"}


@st.composite
def a_history(draw: st.DrawFn) -> list[Arrival]:
    """Callbacks with repeats, replays and conflicts; walks over inputs and outputs."""
    results = st.lists(st.sampled_from(RESULTS), max_size=3)
    found = []
    for _ in range(draw(st.integers(1, 6))):
        body = callback(
            draw(st.sampled_from(["a", "b", "c", "d"])),
            run=RUN,
            results=draw(results),
            row=None,
            **draw(st.sampled_from(INPUTS)),
        )
        if draw(st.booleans()):
            body["error"] = NO_RESULT
        found.append(arrival(encoded(body)))
    if draw(st.booleans()):
        rows = draw(st.lists(st.sampled_from(RESULTS), max_size=4))
        found.append(_page(Source.OUTPUTS, rows))
    if draw(st.booleans()):
        listed = [
            {"uid": f"i{place}", "input_data": one["input"], "custom_data": one["custom_data"],
             "status": "FAILED", "last_error": NO_RESULT}
            for place, one in enumerate(INPUTS)
        ]  # fmt: skip
        found.append(_page(Source.INPUTS, listed))
        found.append(
            answer("run", Source.RUN, {"status": "SUCCEEDED", "output_count": 3}, 1_900_000_000_000)
        )
    return found


def _page(source: Source, rows: Sequence[Any]) -> Arrival:
    return answer(
        f"{source}:0", source, list(rows), 1_900_000_000_000, walk=f"walk-{source}", page=0,
        began_ms=1_900_000_000_000, next_url=None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(a_history(), st.integers(0, 7), st.integers(0, 10**6))
@settings(max_examples=examples(3), **PROFILE)
def test_the_end_is_the_same(kind: str, history: list[Arrival], asked_at: int, seed: int) -> None:
    rng = random.Random(seed)
    states = []
    for erased_at in (min(asked_at, len(history)), len(history), None):
        with (
            emptied_database(kind) as env,
            pytest.MonkeyPatch.context() as patch,
            asyncio.Runner() as runner,
            ExitStack() as stack,
        ):
            for name, value in env.items():
                patch.setenv(name, value)
            patch.setattr("app.store.postgres.rework.LOOK_S", 0.0)
            erasing = Erasing(runner, stack)
            for place, one in enumerate([*history, None]):
                if place == erased_at:
                    erasing.ask()
                if one is not None:
                    runner.run(erasing.store.append([one]))
                if rng.random() < 0.5:
                    project(erasing.projector)
            states.append(erasing.carry_out())
            if erased_at is not None:
                with opened_for_rebuild(erasing.settings) as again:
                    rebuild(again, erasing.settings, lambda done, total: None)
                rework(erasing.work, erasing.settings)
                assert runner.run(exported(erasing.store.reader)) == states[-1]
    early, late, never = states
    assert early == late
    assert late["state"] == never["state"]
    assert late["results"] == sorted(
        (run, canonical(kept))
        for run, text in never["results"]
        if (kept := _without_jane(text)) is not None
    )
    assert PERSON not in str(late)
    assert [(one["input_uid"], one["result_count"]) for one in late["inputs"]] == [
        (one["input_uid"], one["result_count"]) for one in never["inputs"]
    ]


def _without_jane(text: bytes) -> Any:
    kept = {canonical(one): one for one in RESULTS}[text]
    if kept[FIELD] == PERSON:
        return None
    kept = dict(kept)
    for name in ("mutual", "posts"):
        if name in kept:
            kept[name] = [one for one in kept[name] if PERSON not in str(one)]
    return kept
