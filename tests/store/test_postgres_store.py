"""PostgreSQL as the service holds it: news travels between replicas, and comes back after a cut."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import asyncpg
import pytest

from app import observe
from app.model import Arrival, Outcome
from app.store.postgres.store import PostgresStore
from tests.databases import fresh_postgres
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One of these tests' own: on another they would hear of what other tests log."""
    own = PostgresServer().start()
    yield own
    own.remove()


@pytest.fixture
async def url(server: PostgresServer) -> AsyncIterator[str]:
    with_schema = fresh_postgres(server.url)
    yield await asyncio.to_thread(with_schema.__enter__)
    await asyncio.to_thread(with_schema.__exit__, None, None, None)


class Replica:
    """A store, and how often it heard of news."""

    def __init__(self, url: str) -> None:
        self.heard = 0
        self.store = PostgresStore(url, on_news=self._hear)

    def listens(self) -> bool:
        return self.heard > 0

    def _hear(self) -> None:
        self.heard += 1


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    both = Replica(url), Replica(url)
    for one in both:
        await one.store.open()
        await until(one.listens)
    yield both
    for one in both:
        await one.store.close()


async def until(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    async with asyncio.timeout(timeout_s):
        while not is_so():
            await asyncio.sleep(0.01)


def arrival(key: str) -> Arrival:
    return Arrival("run", key, b'{"a":1}', 1_700_000_000_000)


async def test_what_one_logged_the_other_hears_of(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    before = other.heard
    assert await one.store.append([arrival("1")]) == [Outcome.STORED]
    assert other.heard == before
    await one.store.after_commit()
    await until(lambda: other.heard > before)


async def test_many_commits_are_few_news(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    before = other.heard
    for number in range(50):
        await one.store.append([arrival(str(number))])
        await one.store.after_commit()
    await until(lambda: other.heard > before)
    assert other.heard - before < 25


async def test_a_listener_that_was_cut_listens_again(
    replicas: tuple[Replica, Replica], url: str
) -> None:
    one, other = replicas
    before = other.heard
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        " AND application_name = 'edges-collector' AND pid <> pg_backend_pid()"
    )
    await connection.close()
    await until(lambda: other.heard > before)
    before = other.heard
    await one.store.append([arrival("1")])
    await one.store.after_commit()
    await until(lambda: other.heard > before)


@pytest.mark.parametrize("size", [1, 64, 1500])
async def test_a_group_of_any_size_is_one_statement(
    replicas: tuple[Replica, Replica], size: int
) -> None:
    """Also where callbacks are repeated, as they were sent; else it takes two more for them all."""
    store = replicas[0].store
    for number in range(2):
        before = statements()
        outcomes = await store.append([arrival(str(key)) for key in range(size)])
        assert set(outcomes) == {Outcome.DUPLICATE if number else Outcome.STORED}
        assert statements() - before == 1
    before = statements()
    respelled = [Arrival("run", str(key), b'{"a": 1}', 1) for key in range(size)]
    conflicting = [Arrival("run", str(key), b'{"a":2}', 1) for key in range(size)]
    outcomes = await store.append([*respelled, *conflicting])
    assert outcomes == [Outcome.DUPLICATE] * size + [Outcome.CONFLICT] * size
    assert statements() - before == 3


def statements() -> float:
    return observe.REGISTRY.get_sample_value("edges_collector_log_statements_total") or 0.0
