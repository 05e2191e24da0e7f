"""Whatever senders write and users ask for: it breaks no store, and both say the same of it."""

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from app.model import Outcome
from app.store.database import Work
from app.store.protocol import Store
from app.store.views import Fields, InputFilter, RunFilter, RunSnapshot
from tests.callbacks import encoded, sent
from tests.databases import postgres
from tests.project.test_merge import expected_results
from tests.project.test_merge import outcome as outcome_of_history
from tests.store.arrivals import arrival_of, project

STORED = Outcome.STORED

LONG = "l" * 3_500
TEXTS = (
    "nul\0nul",
    "\0",
    "quote ' and \" and \\",
    "\N{PARTY POPPER} 日本語",
    "x" * 200,
    LONG,
    "\N{PARTY POPPER}" * 3_000,
)


def callbacks_with(text: str, place: int) -> Iterator[dict[str, Any]]:
    """A callback for each place where a sender's text can be."""
    run: dict[str, Any] = {"run_uid": "run-1", "batch_uid": "b", "status": "SUCCEEDED"}
    base: dict[str, Any] = {"run": run, "input": {"n": place}, "results": [{"n": place}]}
    yield base | {"run": run | {"status": text}}
    yield base | {"run": run | {"batch_uid": text}}
    names = ("action_name", "execution_mode", "scheduled_run_uid")
    yield base | {"run": run | dict.fromkeys(names, text)}
    yield base | {"custom_data": {"path": text}}
    yield base | {"custom_data": {text: "value", "in": {text: [text, {text: text}]}}}
    yield base | {"custom_data": text}
    yield base | {"custom_data": [text, {text: text}]}
    yield base | {"input": {text: text, "in": {text: 1}}}
    yield base | {"input": text}
    yield base | {"results": [{text: text, "deep": {text: {text: text}}}, text, [text]]}
    yield base | {text: text}
    yield base | {"error": {"error_label": text, "message": text, "params": {text: text}}}
    yield base | {"error": text}
    yield base | {"error": {"error_label": {text: text}, "status_code": text, "error_ref": text}}


def bodies_with_all_texts() -> list[list[bytes]]:
    """Batches of callbacks: each text in each place, some of them repeats under other ids."""
    batches = []
    for number, text in enumerate(TEXTS):
        callbacks = [*callbacks_with(text, number)]
        batches.append(
            [
                encoded({**body, "callback_ref_uid": f"{number}-{place}"})
                for place, body in enumerate(callbacks)
            ]
        )
        replays = [
            {**body, "callback_ref_uid": f"r{number}-{n}"} for n, body in enumerate(callbacks)
        ]
        batches.append([encoded(body) for body in replays[::3]])
    return batches


def test_whatever_senders_write_both_stores_export_the_same() -> None:
    postgres()
    batches = bodies_with_all_texts()
    here, there = (outcome_of_history(kind, batches, None) for kind in ("sqlite", "postgres"))
    assert here == there
    callbacks = [json.loads(body) for batch in batches for body in batch]
    assert here["results"] == expected_results(callbacks)


@pytest.mark.parametrize("text", [text for text in TEXTS if len(text) <= 200])
def test_values_of_custom_data_are_found(
    store: Store, runner: asyncio.Runner, work: Work, text: str
) -> None:
    for number, custom_data in enumerate(({"path": text}, {text: "value"}, {"path": "other"})):
        body = sent(f"c{number}", run="run-1", custom_data=custom_data)
        runner.run(store.append([arrival_of(body)]))
    project(work)
    for path, value in (("path", text), (text, "value")):
        found = runner.run(
            store.reader.inputs(
                RunSnapshot("run-1", 9), InputFilter(custom=((path, value),)), after=b"", limit=9
            )
        )
        assert [json.loads(one.custom_data) for one in found] == [{path: value}]
        chosen = RunFilter(custom=((path, value),))
        runs = runner.run(store.reader.runs(chosen, sort="created", after=None, limit=9))
        assert [run.run_uid for run in runs] == ["run-1"]
    runs = runner.run(
        store.reader.runs(RunFilter(search=text), sort="created", after=None, limit=9)
    )
    assert [run.run_uid for run in runs] == ["run-1"]


def test_any_text_may_be_asked_for(store: Store, runner: asyncio.Runner, work: Work) -> None:
    """What cannot be there is not found; it is no reason to fail."""
    runner.run(store.append([arrival_of(sent("c1", run="run-1"))]))
    project(work)
    for text in TEXTS:
        runner.run(nothing_is_found(store, text))


async def nothing_is_found(store: Store, text: str) -> None:
    reader = store.reader
    assert await reader.run(text) is None
    assert await store.seqs(text, text) == []
    assert await reader.quarantined_entry(text) is None
    assert not await store.release(text)
    for inputs in (
        InputFilter(error_label=text),
        InputFilter(statuses=(text,)),
        InputFilter(custom=((text, text), ("path", text))),
    ):
        assert await reader.inputs(RunSnapshot("run-1", 9), inputs, after=b"", limit=9) == []
    for runs in (
        RunFilter(run_uids=(text,)),
        RunFilter(status=text),
        RunFilter(completeness=text),
        RunFilter(action_name=text),
        RunFilter(scheduled_run_uid=text),
        RunFilter(search=text),
        RunFilter(custom=((text, text),)),
    ):
        assert await reader.runs(runs, sort="created", after=None, limit=9) == []
    assert await reader.fields([text]) == Fields.of([])


def test_all_that_is_looked_up_by_may_be_as_long_as_it_gets(
    store: Store, runner: asyncio.Runner, work: Work
) -> None:
    """At once, and in characters of four bytes that do not compress: an index has its limits."""
    rng = random.Random(4)
    run, key, path, value, label = (
        "".join(chr(rng.randrange(0x10000, 0xE0000)) for _ in range(200)) for _ in range(5)
    )
    body = sent(key, run=run, error={"error_label": label}, custom_data={path: value, "p": [value]})
    runner.run(store.append([arrival_of(body)]))
    project(work)
    chosen = InputFilter(error_label=label, custom=((path, value), ("p", value)))
    (found,) = runner.run(store.reader.inputs(RunSnapshot(run, 9), chosen, after=b"", limit=9))
    assert json.loads(found.error or "null")["label"] == label
    assert runner.run(store.seqs(run, key)) == [1]


def test_a_key_of_a_result_may_be_long(store: Store, runner: asyncio.Runner, work: Work) -> None:
    rng = random.Random(3)
    keys = sorted(f"{rng.randbytes(5_000).hex()}{end}" for end in ("a", "b"))
    keys.append("x" * 10_000)
    for number, key in enumerate(keys):
        body = sent(f"c{number}", run="run-1", results=({key: 1},))
        assert runner.run(store.append([arrival_of(body)])) == [STORED]
    project(work)
    assert list(runner.run(store.reader.fields(["run-1"])).kinds["data"]) == keys
