"""Fixtures that many tests share. Those with a collector run once for each store."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest

from app.memory import collect_rarely
from tests.collector_process import CollectorProcess
from tests.databases import KINDS, drop_what_is_kept, fresh_database

# Collecting tests makes objects by the hundred thousand, and no garbage.
collect_rarely()

# How long an example takes says more of what else the machine does; pytest-timeout bounds a test.
hypothesis.settings.register_profile("without deadlines", deadline=None)
hypothesis.settings.load_profile("without deadlines")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """More workers than cores: half of the time tests wait, for others or for time to pass."""
    chosen = yield
    return chosen if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else chosen + 2


def pytest_sessionfinish() -> None:
    drop_what_is_kept()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment of a collector with an empty database of its own."""
    with fresh_database(request.param, tmp_path / "data") as env:
        yield env


@pytest.fixture
def start_collector(database: Mapping[str, str]) -> Iterator[Callable[..., CollectorProcess]]:
    """Starts real servers, all on the same database, and ends them after the test."""
    started: list[CollectorProcess] = []

    def start(env: Mapping[str, str] | None = None, **options: object) -> CollectorProcess:
        process = CollectorProcess({**database, **(env or {})}, **options)  # type: ignore[arg-type]
        started.append(process)
        return process.wait_until_ready()

    yield start
    for process in started:
        process.kill()


@pytest.fixture(scope="module", params=KINDS)
def shared_collector(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CollectorProcess]:
    """One real server for tests that keep to runs of their own."""
    with fresh_database(request.param, tmp_path_factory.mktemp("shared") / "data") as env:
        process = CollectorProcess(env).wait_until_ready()
        yield process
        process.kill()


@pytest.fixture
def collector(start_collector: Callable[..., CollectorProcess]) -> CollectorProcess:
    """A real server on an empty database."""
    return start_collector()


sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what the other store has no counterpart of, such as files."""

postgres_only = pytest.mark.parametrize("database", ["postgres"], indirect=True)
"""Likewise, such as replicas."""
