"""A store within the test's own process, and what its worker holds."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest

from app.settings import Settings
from app.store.database import Work, opened_for_work, store_of
from app.store.protocol import Store


@pytest.fixture
def settings(database: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in database.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def open_store(settings: Settings, runner: asyncio.Runner) -> Iterator[Callable[[], Store]]:
    """Opens stores on the database, and closes them after the test."""
    opened: list[Store] = []

    def opening() -> Store:
        store = store_of(settings, on_news=lambda: None)
        runner.run(store.open())
        opened.append(store)
        return store

    yield opening
    for store in opened:
        runner.run(store.close())


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture
def work(settings: Settings, store: Store) -> Iterator[Work]:
    """What the one worker of the store holds."""
    del store  # has made the database
    with opened_for_work(settings, "worker") as work:
        yield work
