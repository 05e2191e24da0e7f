"""Deltas put together: every result that counts, each once, whatever comes in between."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.deltas import START, Chosen, new_of_run, new_of_runs
from app.canonical import canonical
from app.export.stream import results, snapshot
from app.model import Arrival, Source
from app.settings import Settings
from app.store.protocol import Store
from app.store.views import ResultFilter, RunFilter, RunSnapshot
from tests.callbacks import callback
from tests.databases import emptied_database, postgres
from tests.project.test_merge import (
    RESULT,
    RESULT_KEYS,
    a_callback,
    arrival,
    open_projector,
    open_store,
    project,
    spelled,
)
from tests.project.test_telling import EARLY_MS, RUN, a_walk, answer
from tests.soak import examples

PROFILE: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
OF_ROW = ResultFilter(custom=(("row_id", "row-1"),))

Results = Counter[tuple[str, bytes]]
Entry = bytes | Arrival | str
"""A callback, an answer of Edges, or "load"."""


@st.composite
def outputs(draw: st.DrawFn) -> list[Arrival]:
    """What Edges says of a run that is continued at times: readings, and walks over outputs.

    Its count and its list begin anew with each generation, or go on.
    """
    answers: list[Arrival] = []
    is_reset = draw(st.booleans())
    listed: list[Any] = []
    for number in range(draw(st.integers(1, 3))):
        told_ms = EARLY_MS + number * 1_000
        if number and draw(st.booleans()):
            answers.append(answer(f"act-{number}", Source.ACT, None, told_ms - 1, act="continue"))
        new = draw(st.lists(RESULT, max_size=3))
        before, listed = len(listed), new if is_reset else listed + new
        counts = (("RUNNING", 0 if is_reset else before), ("SUCCEEDED", len(listed)))
        answers += (
            answer(
                f"{status}-{number}",
                Source.RUN,
                {"status": status, "output_count": count},
                told_ms + place,
            )
            for place, (status, count) in enumerate(counts)
        )
        for walk in range(draw(st.integers(0, 2))):
            answers += draw(
                a_walk(Source.OUTPUTS, listed, number * 10 + walk, told_ms + 10 + walk * 100)
            )
    return answers


@st.composite
def a_history(draw: st.DrawFn) -> list[Entry]:
    callbacks = draw(st.lists(a_callback(), max_size=8))
    for original in draw(st.lists(st.sampled_from(callbacks), max_size=2)) if callbacks else ():
        callbacks.append({**original, "callback_ref_uid": draw(st.sampled_from(["a", "z"]))})
    entries: list[Entry] = [spelled(body, 0) for body in callbacks]
    entries += ["load"] * draw(st.integers(1, 4))
    told = draw(outputs()) if draw(st.booleans()) else []
    if draw(st.booleans()):
        return list(draw(st.permutations([*entries, *told])))
    history = list(draw(st.permutations(entries)))
    places = draw(st.lists(st.integers(0, len(history)), min_size=len(told), max_size=len(told)))
    for place, one in zip(sorted(places, reverse=True), reversed(told), strict=True):
        history.insert(place, one)
    return history


class Loading:
    """Two readers of one store, of all runs and of one, that load what is new time and again."""

    def __init__(self, store: Store, chosen: ResultFilter) -> None:
        self.of_all: Results = Counter()
        self.of_one: Results = Counter()
        self._store = store
        self._chosen = chosen
        self._after_all = self._after_one = START

    async def load(self) -> None:
        found = await new_of_runs(self._store, RunFilter(), self._after_all, [])
        self._after_all = self._next(found)
        self.of_all += await self._read(found.snapshots)
        run = await self._store.reader.run(RUN)
        if run is not None:
            found = await new_of_run(self._store, run, self._after_one, [])
            self._after_one = self._next(found)
            self.of_one += await self._read(found.snapshots)

    async def exported(self) -> Results:
        reader = self._store.reader
        runs = await reader.runs_in_export_order(RunFilter(), after_uid=None, limit=100)
        return await self._read([await snapshot(reader, run) for run in runs])

    def has_begun(self, uid: str) -> bool:
        return self._after_all != START if uid == "all" else self._after_one != START

    @staticmethod
    def _next(found: Chosen) -> str:
        assert found.next_cursor is not None
        return found.next_cursor

    async def _read(self, runs: Sequence[RunSnapshot]) -> Results:
        found: Results = Counter()
        for run in runs:
            async for portion in results(self._store.reader, run, self._chosen, RESULT_KEYS):
                assert portion
                found.update((one.run_uid, canonical(one.data)) for one in portion)
        return found


def loaded(
    kind: str, history: Sequence[Entry], chosen: ResultFilter, *, is_stepwise: bool
) -> tuple[dict[str, Results], dict[str, Results]]:
    """What was loaded; and, if projected step by step, the most that counted since then."""
    with (
        emptied_database(kind) as env,
        pytest.MonkeyPatch.context() as patch,
        asyncio.Runner() as runner,
        ExitStack() as working,
    ):
        for name, value in env.items():
            patch.setenv(name, value)
        store = open_store(runner, Settings())
        projector = open_projector(working, Settings())
        loading = Loading(store, chosen)
        most: dict[str, Results] = {"all": Counter(), "one": Counter()}
        for entry in [*history, "load"]:
            if isinstance(entry, str):
                project(projector)
                runner.run(loading.load())
            else:
                runner.run(store.append([arrival(entry)]))
            if is_stepwise:
                project(projector)
                now = runner.run(loading.exported())
                for name in most:
                    if loading.has_begun(name):
                        most[name] |= now
        runner.run(store.close())
    most["one"] = Counter({key: number for key, number in most["one"].items() if key[0] == RUN})
    return {"all": loading.of_all, "one": loading.of_one}, most


def told(kind: str, history: Sequence[Entry], chosen: ResultFilter) -> None:
    """Loads give the most that ever counted since the first one, no more and no less."""
    found, most = loaded(kind, history, chosen, is_stepwise=True)
    assert found == most
    assert loaded(kind, history, chosen, is_stepwise=False)[0] == most


@settings(max_examples=examples(15), **PROFILE)
@given(a_history(), st.sampled_from([ResultFilter(), OF_ROW]))
def test_loads_add_up_to_all_that_counted(history: list[Entry], chosen: ResultFilter) -> None:
    told("sqlite", history, chosen)


@settings(max_examples=examples(3), **PROFILE)
@given(a_history())
def test_loads_add_up_in_postgres_too(history: list[Entry]) -> None:
    postgres()
    told("postgres", history, ResultFilter())


def test_a_better_body_brings_only_what_the_one_before_it_did_not() -> None:
    one, other = {"id": 1}, {"id": 2}
    first = callback("c1", run=RUN, results=(one,))
    longer = callback("c1", run=RUN, results=(other, one))
    told("sqlite", [spelled(first, 0), "load", spelled(longer, 0), "load"], ResultFilter())


def test_what_was_listed_first_is_not_new_when_its_callback_comes() -> None:
    one = {"id": 1}
    page = answer("o:0", Source.OUTPUTS, [one, one], EARLY_MS, walk="w", page=0, began_ms=EARLY_MS)
    late = [spelled(callback(ref, run=RUN, row=ref, results=(one,)), 0) for ref in "abc"]
    told("sqlite", [page, "load", late[0], "load", late[1], "load", late[2]], ResultFilter())
