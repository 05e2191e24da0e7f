"""Parts as files, in folders and in buckets."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from obstore.store import LocalStore, MemoryStore

from app.export.stream import OrderChangedError
from app.sinks.folder import Folder
from app.sinks.location import SinkError, read_format, read_location
from app.sinks.objects import Objects
from app.sinks.part_files import PartFiles, Place, partition
from app.sinks.parts import Part
from app.sinks.targets import target_of
from tests.sinks.listed import BrokenPart, part

RUN = "run/1 ü=%"


@pytest.fixture(params=["folder", "local store", "memory store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Folder(tmp_path / "out")
    store: Any = MemoryStore()
    if request.param == "local store":
        store = LocalStore(tmp_path)
    return Objects(store, "some/prefix", "s3://bucket/some/prefix/")


def written(place: Place, format_name: str, *parts: Part) -> list[bool]:
    """Write parts as the command does; whether each was there already."""

    async def writing() -> list[bool]:
        target = PartFiles(place, read_format(format_name))
        await target.open()
        known = []
        for one in parts:
            known.append(await target.version(one.run.run_uid) == one.version)
            if not known[-1]:
                await target.write(one)
        await target.close()
        return known

    return asyncio.run(writing())


def kept(place: Place, run_uid: str) -> dict[str, bytes]:
    """The files of a run."""

    async def reading() -> dict[str, bytes]:
        folder = partition(run_uid)
        return {
            name: await place.read(f"{folder}/{name}") or b"" for name in await place.names(folder)
        }

    return asyncio.run(reading())


def test_a_run_is_a_file_that_is_replaced_when_it_changed(place: Place) -> None:
    first = part({"a": 1}, {"a": None, "b": "x"}, run=RUN)
    assert written(place, "csv", first, part({"c": 1}, run="run-2")) == [False, False]
    assert written(place, "csv", first) == [True]
    files = kept(place, RUN)
    assert list(files) == ["_version", "part.csv"]
    rows = list(csv.DictReader(io.StringIO(files["part.csv"].decode())))
    assert [(row["a"], row["b"], row["_run_uid"]) for row in rows] == [
        ("1", "", RUN),
        ("", "x", RUN),
    ]
    said = json.loads(files["_version"])
    assert (said["run_uid"], said["version"], said["rows"]) == (RUN, "v1", 2)
    assert written(place, "csv", part({"a": 2}, run=RUN, version="v2")) == [False]
    assert b"\r\n2," in kept(place, RUN)["part.csv"]
    assert json.loads(kept(place, RUN)["_version"])["rows"] == 1


def test_another_format_takes_the_place_of_the_one_before(place: Place) -> None:
    written(place, "csv", part({"a": 1}, run=RUN))
    assert written(place, "ndjson", part({"a": 1}, run=RUN)) == [False]
    files = kept(place, RUN)
    assert list(files) == ["_version", "part.ndjson"]
    assert json.loads(files["part.ndjson"])["data"] == {"a": 1}


def test_what_breaks_off_leaves_what_was_there(place: Place) -> None:
    written(place, "csv", part({"a": 1}, run=RUN))
    before = kept(place, RUN)
    whole = part(*[{"a": "x" * 100_000}] * 100, run=RUN, version="v2")
    with pytest.raises(OrderChangedError):
        written(place, "csv", BrokenPart.of(whole))
    assert kept(place, RUN) == before
    assert written(place, "csv", whole) == [False]
    assert len(kept(place, RUN)["part.csv"]) > 10_000_000


def test_a_version_that_is_broken_is_none(place: Place) -> None:
    written(place, "csv", part({"a": 1}, run=RUN))

    async def breaking() -> None:
        async def content() -> AsyncIterator[bytes]:
            yield b'{"version": "v1"'

        await place.put(f"{partition(RUN)}/_version", content())

    asyncio.run(breaking())
    assert written(place, "csv", part({"a": 1}, run=RUN)) == [False]


def test_the_uid_of_a_run_is_in_the_name_of_its_folder() -> None:
    for run_uid in ("6f9c2f9a-8f0e", RUN, "..", "a\0b"):
        name = partition(run_uid)
        assert "/" not in name
        assert unquote(name.removeprefix("run_uid=")) == run_uid


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = target_of(read_location(f"{tmp_path}/file/out/", "csv"))
    with pytest.raises(SinkError, match="cannot be written"):
        asyncio.run(target.open())


def test_a_bucket_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    target = target_of(read_location("s3://bucket/prefix", "csv"))
    with pytest.raises(SinkError, match="s3://bucket/prefix/") as failed:
        asyncio.run(target.open())
    assert "hidden-secret" not in str(failed.value)
