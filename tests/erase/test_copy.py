"""A copy to PostgreSQL takes erasures along: what was erased stays erased there."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.settings import Settings
from app.store.copying import CopyRefusedError
from tests.callbacks import sent
from tests.databases import fresh_postgres
from tests.erase.erasing import Erasing
from tests.erase.people import NAME, PERSON, jane, other, traces
from tests.project.test_merge import arrival
from tests.store.test_copying import copied


@pytest.fixture
def source(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Settings]:
    with fresh_postgres() as url:
        yield Settings(data_dir=tmp_path / "target", database_url=url)


def bodies() -> list[bytes]:
    return [sent(f"c{n}", results=(jane(n=n), other(n))) for n in range(4)]


def test_what_was_erased_stays_erased_in_a_copy(source: Settings, target: Settings) -> None:
    source.data_dir.mkdir()
    with asyncio.Runner() as runner, ExitStack() as stack:
        erasing = Erasing(runner, stack, source)
        erasing.append(*bodies(), sent("c1", run="gone"))
        erasing.ask_run("gone")
        erasing.ask()
        erasing.carry_out()
    verdict = copied(source, target)
    assert (verdict.differences, verdict.runs) == ([], 1)
    with asyncio.Runner() as runner, ExitStack() as stack:
        erasing = Erasing(runner, stack, target)
        erasing.append(*bodies(), sent("c1", run="gone"), sent("c9", results=(jane(),)))
        state = erasing.carry_out()
        assert list(state["state"]) == [arrival(bodies()[0]).run_uid]
        assert len(state["results"]) == 4
    assert traces({"COLLECTOR_DATABASE_URL": str(target.database_url)}, NAME, PERSON) == []


def test_an_erasure_that_is_under_way_is_finished_in_a_copy(
    source: Settings, target: Settings
) -> None:
    source.data_dir.mkdir()
    with asyncio.Runner() as runner, ExitStack() as stack:
        erasing = Erasing(runner, stack, source)
        erasing.append(*bodies(), sent("c1", run="gone", row=NAME))
        erasing.ask_run("gone")
        erasing.ask()
    copied(source, target)
    with asyncio.Runner() as runner, ExitStack() as stack:
        assert len(Erasing(runner, stack, target).carry_out()["state"]) == 1
    assert traces({"COLLECTOR_DATABASE_URL": str(target.database_url)}, NAME, PERSON) == []


def test_a_copy_does_not_go_on_behind_an_erasure(source: Settings, target: Settings) -> None:
    """What was copied before it may hold who was erased since."""
    source.data_dir.mkdir()
    with asyncio.Runner() as runner, ExitStack() as stack:
        Erasing(runner, stack, source).append(*bodies())
    copied(source, target)
    with asyncio.Runner() as runner, ExitStack() as stack:
        erasing = Erasing(runner, stack, source)
        erasing.append(sent("last"))
        erasing.ask()
        erasing.carry_out()
    with pytest.raises(CopyRefusedError, match=r"erased|another source"):
        copied(source, target)
