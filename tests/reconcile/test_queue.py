"""The queue of runs, of one process and of many: what both kinds promise."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import time_ns

import pytest

from app.reconcile.queue import LocalQueue, Queue
from app.store.postgres.driver import connect
from app.store.postgres.migrations import migrate
from app.store.postgres.queue import PostgresQueue
from tests.databases import KINDS, fresh_postgres

LEASE_S = 0.3


def now_ms() -> int:
    return time_ns() // 1_000_000


@contextmanager
def database() -> Iterator[str]:
    with fresh_postgres() as url:

        async def migrating() -> None:
            connection = await connect(url)
            await migrate(connection, "log_schema")
            await connection.close()

        asyncio.run(migrating())
        yield url


def tried(kind: str, trying: Callable[[Queue], Awaitable[None]]) -> None:
    if kind == "sqlite":
        asyncio.run(_tried(trying, LocalQueue()))
        return
    with database() as url:
        asyncio.run(_tried_on_postgres(trying, url))


async def _tried(trying: Callable[[Queue], Awaitable[None]], queue: Queue) -> None:
    await trying(queue)


async def _tried_on_postgres(trying: Callable[[Queue], Awaitable[None]], url: str) -> None:
    queue = PostgresQueue(url, lease_s=LEASE_S)
    try:
        await trying(queue)
    finally:
        await queue.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_taken_once_when_it_is_due_and_again_when_it_is_given_back(kind: str) -> None:
    async def trying(queue: Queue) -> None:
        await queue.ask({"late": now_ms() + 60_000, "b": now_ms() - 5, "a": now_ms() - 10})
        assert await queue.claim(1) == ["a"]
        assert await queue.claim(5) == ["b"]
        assert await queue.claim(5) == []
        await queue.settle("a", now_ms() - 1, None)
        await queue.settle("b", None, None)
        assert await queue.claim(5) == ["a"]
        await queue.ask({"late": now_ms() - 1})
        assert await queue.claim(5) == ["late"]

    tried(kind, trying)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_for_during_a_pass_is_done_after_it(kind: str) -> None:
    async def trying(queue: Queue) -> None:
        await queue.ask({"a": now_ms() - 1})
        assert await queue.claim(1) == ["a"]
        await queue.ask({"a": now_ms() - 1})
        due = await queue.state("a")
        assert due is not None
        assert due.due_ms is None  # it is taken, whatever was asked for meanwhile
        await queue.settle("a", now_ms() + 60_000, None)
        assert await queue.claim(1) == ["a"]

    tried(kind, trying)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_failed_waits_unless_somebody_insists(kind: str) -> None:
    async def trying(queue: Queue) -> None:
        await queue.ask({"a": now_ms() - 1})
        assert await queue.claim(1) == ["a"]
        await queue.settle("a", now_ms() + 60_000, "Edges is away")
        state = await queue.state("a")
        assert state is not None
        assert (state.failures, state.problem) == (1, "Edges is away")
        await queue.ask({"a": now_ms() - 1})
        assert await queue.claim(1) == []
        await queue.ask({"a": now_ms() - 1}, is_forced=True)
        asked = await queue.state("a")
        assert asked is not None
        assert asked.problem is None  # it is no answer to who asks now
        assert await queue.claim(1) == ["a"]
        await queue.settle("a", now_ms() + 60_000, None)
        again = await queue.state("a")
        assert again is None or (again.failures, again.problem) == (0, None)

    tried(kind, trying)


def test_what_a_replica_had_that_died_is_anothers_after_its_lease() -> None:
    async def trying(url: str) -> None:
        first, second = (PostgresQueue(url, lease_s=LEASE_S) for _ in range(2))
        await first.ask({"a": now_ms() - 1, "b": now_ms() - 1})
        assert await first.claim(1) == ["a"]
        assert await second.claim(5) == ["b"]
        assert await first.renew("a")
        assert not await second.renew("a")
        await asyncio.sleep(LEASE_S + 0.1)
        assert sorted(await second.claim(5)) == ["a", "b"]
        assert not await first.renew("a")
        await first.settle("a", now_ms() - 1, "too late")  # it is not its own any more
        state = await second.state("a")
        assert state is not None
        assert state.problem is None
        await first.close()
        await second.close()

    with database() as url:
        asyncio.run(trying(url))
