"""Export jobs in either store: one at a time, each by one, and none forgotten."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import time_ns
from typing import Any

import pytest
from uuid_utils import uuid7

from app.settings import Settings
from app.store import export_jobs
from app.store.database import store_of
from app.store.export_jobs import ExportJobs, ExportRow
from app.store.protocol import Store


def a_job(key: str | None = None, request: str = "{}") -> ExportRow:
    return ExportRow(str(uuid7()), key, request, "queued", 0, "{}", time_ns() // 1_000_000)


@pytest.fixture
def settings(database: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in database.items():
        monkeypatch.setenv(name, value)
    return Settings()


def with_stores(settings: Settings, test: Callable[[list[Store]], Awaitable[Any]]) -> None:
    """Run a test with two stores of one database, as two replicas have; with SQLite with one."""

    async def running() -> None:
        many = 1 if settings.postgres_url is None else 2
        stores = [store_of(settings, on_news=lambda: None) for _ in range(many)]
        for store in stores:
            await store.open()
        try:
            await test(stores)
        finally:
            for store in stores:
                await store.close()

    asyncio.run(running())


def test_the_oldest_is_claimed_first_and_by_one_alone(settings: Settings) -> None:
    async def test(stores: list[Store]) -> None:
        jobs = [store.exports for store in stores]
        rows = [await jobs[0].add(a_job()) for _ in range(4)]
        claims = await asyncio.gather(*(one.claim() for one in jobs * 4))
        taken = [row.export_id for row in claims if row is not None]
        assert sorted(taken) == sorted(row.export_id for row in rows)
        assert await jobs[-1].claim() is None
        assert await jobs[0].waiting() == 4

    with_stores(settings, test)


def test_who_lost_its_lease_settles_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_jobs, "LEASE_MS", -1)

    async def test(stores: list[Store]) -> None:
        first, other = stores[0].exports, stores[-1].exports
        row = await first.add(a_job())
        claimed = await first.claim()
        again = await other.claim()
        assert claimed is not None
        assert again is not None
        assert (claimed.tries, again.tries) == (1, 2)
        if first is not other:
            assert not await first.note(row.export_id, "{}")
            assert not await first.settle(row.export_id, "done", "{}", kept_ms=1)
        assert await other.note(row.export_id, '{"rows": 1}')
        assert await other.settle(row.export_id, "done", '{"rows": 2}', kept_ms=60_000)
        done = await first.one(row.export_id)
        assert done is not None
        assert (done.state, done.facts, done.tries) == ("done", '{"rows": 2}', 2)
        assert (done.expires_ms or 0) - (done.finished_ms or 0) == pytest.approx(60_000, abs=50)

    with_stores(settings, test)


def test_a_key_asks_once(settings: Settings) -> None:
    async def test(stores: list[Store]) -> None:
        jobs: ExportJobs = stores[0].exports
        added = await asyncio.gather(*(jobs.add(a_job("key", str(n))) for n in range(5)))
        assert len({row.export_id for row in added}) == 1
        plain = [await jobs.add(a_job()) for _ in range(2)]
        assert len(await jobs.page(before=None, limit=10)) == 3
        older = await jobs.page(before=plain[1].export_id, limit=1)
        assert [row.export_id for row in older] == [plain[0].export_id]
        assert await jobs.remove(added[0].export_id)
        assert not await jobs.remove(added[0].export_id)
        anew = await jobs.add(a_job("key"))
        assert anew.export_id != added[0].export_id

    with_stores(settings, test)


def test_marks_say_of_runs_only_what_has_changed(settings: Settings) -> None:
    async def test(stores: list[Store]) -> None:
        marks = [await store.mark() for store in stores * 2]
        assert len(set(marks)) == 1
        latest = marks[0].latest
        assert await stores[0].reader.changed(first=latest, after=None, until=latest) == {}

    with_stores(settings, test)
