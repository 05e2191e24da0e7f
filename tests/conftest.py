"""Fixtures that many tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collector_process import CollectorProcess


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def start_collector(tmp_path: Path) -> Iterator[Callable[..., CollectorProcess]]:
    """Starts real servers, by default all on the same data folder, and ends them after the test."""
    started: list[CollectorProcess] = []

    def start(**options: object) -> CollectorProcess:
        options.setdefault("data_dir", tmp_path / "data")
        process = CollectorProcess(**options)  # type: ignore[arg-type]
        started.append(process)
        return process.wait_until_ready()

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def shared_collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """One real server for tests that keep to runs of their own."""
    process = CollectorProcess(tmp_path_factory.mktemp("shared") / "data").wait_until_ready()
    yield process
    process.kill()


@pytest.fixture
def collector(start_collector: Callable[..., CollectorProcess]) -> CollectorProcess:
    """A real server on an empty folder."""
    return start_collector()
