"""Order, duplicates, restarts and rebuilds: the same callbacks end in the same state."""

import asyncio
import itertools
import json
import random
from collections.abc import Sequence
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.canonical import canonical
from app.export.csv_writer import CsvWriter
from app.export.formats import NdjsonWriter
from app.export.stream import (
    input_columns,
    inputs_file,
    result_columns,
    results_file,
    snapshot,
)
from app.model import Arrival
from app.project.projector import Projector
from app.project.rebuild import rebuild
from app.receive.reading import read_ids
from app.settings import Settings
from app.store.database import opened_for_rebuild, opened_for_work, store_of
from app.store.protocol import Store
from app.store.reader import Reader
from app.store.views import InputFilter, ResultFilter, RunFilter
from tests.callbacks import callback
from tests.databases import KINDS, emptied_database, postgres
from tests.soak import examples

RESULT_KEYS = Settings.model_fields["result_keys"].default

# Small worlds, so that ids, contents and inputs collide all the time.
RESULT = st.sampled_from(
    [{"id": 1}, {"id": 2, "name": "Zoë"}, {"id": 3, "more": {"a": None, "b": [1]}}, {"ok": True}]
)
ERROR = st.sampled_from(
    [None, None, {"error_label": "NO_RESULT", "status_code": 424}, {"label": "LK_ERROR"}]
)


@st.composite
def a_callback(draw: st.DrawFn) -> dict[str, Any]:
    return callback(
        draw(st.sampled_from([None, "c1", "c2", "c3", "c4", "c5", "c6"])),
        run=draw(st.sampled_from(["run-1", "run-2"])),
        batch=draw(st.sampled_from([None, "b1", "b2"])),
        status=draw(st.sampled_from([None, "RUNNING", "SUCCEEDED", "FAILED", "BLOCKED", "ODD"])),
        row=draw(st.sampled_from([None, "row-1", "row-2", "row-3"])),
        results=tuple(draw(st.lists(RESULT, max_size=3))),
        error=draw(ERROR),
    )


@st.composite
def a_history(draw: st.DrawFn, callbacks: Sequence[dict[str, Any]]) -> list[list[bytes]]:
    """The callbacks in some order, some repeated and respelled, in batches."""
    repeated = draw(st.lists(st.sampled_from(callbacks), max_size=len(callbacks)))
    order = draw(st.permutations([*callbacks, *repeated]))
    bodies = [spelled(body, draw(st.integers(0, 3))) for body in order]
    batches: list[list[bytes]] = [[]]
    for body in bodies:
        batches[-1].append(body)
        if draw(st.booleans()):
            batches.append([])
    return batches


def spelled(body: dict[str, Any], way: int) -> bytes:
    """The same JSON in one of four spellings."""
    keys = list(body)
    random.Random(way).shuffle(keys)
    return json.dumps(
        {key: body[key] for key in keys},
        ensure_ascii=bool(way & 1),
        indent=1 if way & 2 else None,
        sort_keys=way == 3,
    ).encode()


@st.composite
def two_histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], Any, Any, int]:
    callbacks = draw(st.lists(a_callback(), min_size=1, max_size=9))
    for number, original in enumerate(draw(st.lists(st.sampled_from(callbacks), max_size=4))):
        new_ref = draw(st.sampled_from([f"a-replay-{number}", f"z-replay-{number}"]))
        callbacks.append({**original, "callback_ref_uid": new_ref})
    one, other = draw(a_history(callbacks)), draw(a_history(callbacks))
    return callbacks, one, other, draw(st.integers(0, 2**16))


@settings(
    max_examples=examples(20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(two_histories())
def test_any_order_with_duplicates_restarts_and_rebuilds_ends_the_same(
    histories: tuple[list[dict[str, Any]], list[list[bytes]], list[list[bytes]], int],
) -> None:
    callbacks, one, other, seed = histories
    first, second = outcome("sqlite", one, None), outcome("sqlite", other, seed)
    assert first == second
    assert first["results"] == expected_results(callbacks)


@settings(
    max_examples=examples(8),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(two_histories())
def test_both_stores_end_the_same_byte_for_byte(
    histories: tuple[list[dict[str, Any]], list[list[bytes]], list[list[bytes]], int],
) -> None:
    _, one, other, seed = histories
    postgres()  # found once, outside of what is tried again and again
    assert outcome("postgres", one, seed) == outcome("sqlite", other, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_callback_in_two_spellings_is_exported_alike_whichever_came_first(kind: str) -> None:
    said = callback("c1", run="run-a", row="row-1", results=[{"b": 1, "a": [{"d": 2, "c": 3}]}])
    one = json.dumps(said).encode()
    other = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    histories = [[[one], [other]], [[other], [one]], [[one, other, one]], [[other, one]]]
    first, *others = [outcome(kind, history, None) for history in histories]
    assert all(end == first for end in others)


def outcome(
    kind: str, batches: Sequence[Sequence[bytes | Arrival]], seed: int | None
) -> dict[str, Any]:
    """The state and the exports after `batches`; with a seed, restarts and rebuilds in between."""
    rng = random.Random(seed)
    with (
        emptied_database(kind) as env,
        pytest.MonkeyPatch.context() as patch,
        asyncio.Runner() as runner,
    ):
        for name, value in env.items():
            patch.setenv(name, value)
        configured = Settings()
        store = open_store(runner, configured)
        with ExitStack() as working:
            projector = open_projector(working, configured)
            for batch in batches:
                if batch:
                    runner.run(store.append([arrival(body) for body in batch]))
                if seed is None:
                    continue
                chance = rng.random()
                if chance < 0.5:
                    project(projector)
                if chance < 0.3:
                    working.close()
                    runner.run(store.close())
                    store = open_store(runner, configured)
                    projector = open_projector(working, configured)
                if 0.2 < chance < 0.4:
                    with opened_for_rebuild(configured) as again:
                        rebuild(again, configured, lambda done, total: None)
            project(projector)
        state = runner.run(exported(store.reader))
        runner.run(store.close())
        return state


def open_store(runner: asyncio.Runner, configured: Settings) -> Store:
    store = store_of(configured, on_news=lambda: None)
    runner.run(store.open())
    return store


def open_projector(working: ExitStack, configured: Settings) -> Projector:
    work = working.enter_context(opened_for_work(configured, "worker"))
    return Projector(work.log, work.projection, RESULT_KEYS)


def project(projector: Projector) -> None:
    while projector.project_batch():
        pass


def arrival(body: bytes | Arrival) -> Arrival:
    if isinstance(body, Arrival):
        return body
    ids = read_ids(body)
    return Arrival(ids.run_uid, ids.key, body, next(clock))


clock = itertools.count(1_700_000_000_000)


async def exported(reader: Reader) -> dict[str, Any]:
    """Runs, results and inputs as exports give them, without the times of receipt."""
    runs = await reader.runs_in_export_order(RunFilter(), after_uid=None, limit=100)
    state = {
        run.run_uid: (
            run.status,
            run.completeness,
            run.callbacks,
            run.conflicts,
            run.results,
            run.inputs,
            run.inputs_succeeded,
            run.inputs_failed,
        )
        for run in runs
    }
    columns = result_columns(await reader.fields([run.run_uid for run in runs]))
    files = {}
    for name, writer in (("csv", CsvWriter(columns)), ("ndjson", NdjsonWriter(columns))):
        snapshots = [await snapshot(reader, run) for run in runs]
        pieces = results_file(
            reader, snapshots, ResultFilter(), RESULT_KEYS, writer, shape=writer.shape
        )
        files[name] = without_times(b"".join([piece async for piece in pieces]))
    inputs = []
    for run in runs:
        fields = input_columns(await reader.fields([run.run_uid]))
        pieces = inputs_file(
            reader, run.snapshot, InputFilter(), NdjsonWriter(fields), shape="record"
        )
        lines = b"".join([piece async for piece in pieces]).splitlines()
        inputs += [
            {key: value for key, value in json.loads(line).items() if not key.endswith("_at")}
            for line in lines
        ]
    results = sorted(
        (line["run_uid"], canonical(line["data"]))
        for line in map(json.loads, files["ndjson"].splitlines())
    )
    return {"state": state, "inputs": inputs, "results": results, **files}


def without_times(file: bytes) -> bytes:
    lines = []
    for line in file.decode().splitlines(keepends=True):
        if line.startswith("{"):
            record = json.loads(line)
            assert record.pop("received_at")
            lines.append(json.dumps(record) + "\n")
        else:
            lines.append(line.rpartition(",")[0])
    return "".join(lines).encode()


def expected_results(callbacks: Sequence[dict[str, Any]]) -> list[tuple[str, bytes]]:
    """The multiset of results by the rules, worked out the slow way.

    One body for each id: the one with most results, then with a status that ends, then the
    one whose digest is largest. Of bodies with the same run, batch and content, one counts.
    """
    by_id: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for body in callbacks:
        by_id.setdefault((body["run"]["run_uid"], read_ids(spelled(body, 0)).key), []).append(body)
    contents = {}
    for (run, _), bodies in by_id.items():
        body = max(bodies, key=rank)
        content = [body["run"].get("batch_uid"), body.get("input"), body.get("custom_data")]
        contents[run, canonical([*content, body["results"]])] = body["results"]
    return sorted(
        (run, canonical(result)) for (run, _), results in contents.items() for result in results
    )


def rank(body: dict[str, Any]) -> tuple[int, bool, bytes]:
    is_final = body["run"].get("status") not in (None, "RUNNING")
    return len(body["results"]), is_final, sha256(canonical(body)).digest()[:16]
