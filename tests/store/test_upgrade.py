"""Databases that earlier revisions wrote: opened, told the same way, and gone on with."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.canonical import canonical, dumps
from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.databases import fresh_database
from tests.store.upgrade.snapshot import DOWNLOADS, FOLDER, LISTS, RUN, restore

SNAPSHOTS = sorted(folder.name for folder in FOLDER.iterdir() if (folder / "sent.json").exists())
AGAIN = {"stored": "duplicate", "duplicate": "duplicate", "conflict": "conflict"}


@pytest.fixture(params=SNAPSHOTS)
def snapshot(request: pytest.FixtureRequest) -> Path:
    return FOLDER / str(request.param)


@pytest.fixture
def database(snapshot: Path, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment of a collector on a copy of the snapshot's database."""
    with fresh_database(snapshot.name.partition("-")[0], tmp_path / "data") as env:
        restore(snapshot, env)
        yield env


def test_an_earlier_database_says_the_same_and_is_gone_on_with(
    snapshot: Path, collector: CollectorProcess
) -> None:
    collector.wait_until_projected()  # part of it was not, when it was left
    says_the_same(collector, snapshot)
    answers = [
        (AGAIN[first], collector.send(body.encode()).json()["status"])
        for first, body in json.loads((snapshot / "sent.json").read_text("utf-8"))
    ]
    assert {due for due, _ in answers} == {"duplicate", "conflict"}
    assert [due for due, _ in answers] == [given for _, given in answers]
    collector.wait_until_projected()
    downloads_the_same(collector, snapshot)
    rebuild(collector)
    downloads_the_same(collector, snapshot)

    for ref, results, due in (
        ("lead-0-0", (), "conflict"),
        ("new-1", ({"of": "this revision"},), "stored"),
        ("z-replay-of-new-1", ({"of": "this revision"},), "stored"),
    ):
        body = sent(ref, run=RUN, row="row-0", results=results)
        assert collector.send(body).json()["status"] == due
    collector.wait_until_projected()
    before = as_spelled_then((snapshot / "results.ndjson").read_bytes()).splitlines()
    after = as_spelled_then(collector.http.get("/api/v1/results?format=ndjson").content)
    (added,) = set(after.splitlines()) - set(before)
    assert json.loads(added)["data"] == {"of": "this revision"}
    assert sorted(after.splitlines()) == sorted([*before, added])


def says_the_same(collector: CollectorProcess, snapshot: Path) -> None:
    downloads_the_same(collector, snapshot)
    for name, path in LISTS.items():
        before = json.loads((snapshot / name).read_text("utf-8"))
        assert without_additions(before, collector.pages(path)) == before


def downloads_the_same(collector: CollectorProcess, snapshot: Path) -> None:
    for name, path in DOWNLOADS.items():
        then, now = (snapshot / name).read_bytes(), collector.http.get(f"/api/v1/{path}").content
        if name == "results.ndjson":
            then, now = as_spelled_then(then), as_spelled_then(now)
        assert now == then


def as_spelled_then(lines: bytes) -> bytes:
    """Records whose data was canonical JSON; now it is mostly spelled as it came."""
    records = [json.loads(line) for line in lines.splitlines()]
    return b"".join(
        dumps({**record, "data": orjson.Fragment(canonical(record["data"]))}) + b"\n"
        for record in records
    )


def without_additions(before: Any, after: Any) -> Any:
    """`after` without the fields that objects did not have before."""
    if isinstance(before, dict) and isinstance(after, dict):
        return {key: without_additions(before[key], after[key]) for key in before if key in after}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [without_additions(*pair) for pair in zip(before, after, strict=True)]
    return after


def rebuild(collector: CollectorProcess) -> None:
    command = [sys.executable, "-m", "app", "rebuild"]
    env = {**os.environ, **collector.env}
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=env)
