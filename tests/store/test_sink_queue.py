"""Standing sinks in both stores: each run is somebody's, and none is forgotten."""

import asyncio
from typing import Any

import pytest

from app.store.protocol import Store
from app.store.sink_queue import SettledRun
from app.store.sink_rows import SinkRow, SinkRunRow
from tests.conftest import postgres_only

NOW_MS = 1_000_000


def sink(sink_id: str = "s", **more: Any) -> SinkRow:
    row = SinkRow(sink_id, "active", "{}", "sealed", 1, 0, None, 1, 1)
    return row._replace(**more)


async def claimed(store: Store, now_ms: int = NOW_MS, holder: str = "me") -> SinkRunRow | None:
    return await store.outbox.claim_run("s", holder, 60, now_ms)


def done(**more: Any) -> SettledRun:
    settled = SettledRun("done", NOW_MS, 0, NOW_MS + 5, version="v1", rows=3, took_ms=7, notes="[]")
    return settled._replace(**more)


def test_what_events_ask_for_is_asked_for_once(store: Store, runner: asyncio.Runner) -> None:
    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_sink(sink())
        assert await outbox.ask_seen(sink(), ["a", "b", "a"], 7, NOW_MS)
        assert not await outbox.ask_seen(sink(), ["c"], 7, NOW_MS)  # another replica was quicker
        assert [row.seen_event_no for row in await outbox.sinks()] == [7]
        rows = await store.reader.sink_runs("s", limit=9)
        assert [(row.run_uid, row.asked) for row in rows] == [("b", 1), ("a", 1)]
        assert not await outbox.has_due_run("s", NOW_MS - 1)
        assert await outbox.has_due_run("s", NOW_MS)

    runner.run(trying())


def test_a_run_that_is_settled_says_what_became_of_it(store: Store, runner: asyncio.Runner) -> None:
    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_sink(sink())
        await outbox.ask_seen(sink(), ["a"], 1, NOW_MS)
        run = await claimed(store)
        assert run is not None
        failed = SettledRun("pending", NOW_MS + 60, 1, NOW_MS + 1, problem="no answer")
        await outbox.settle_run(run, "me", failed)
        assert await claimed(store) is None
        run = await claimed(store, NOW_MS + 60)
        assert run is not None
        assert (run.tries, run.problem) == (1, "no answer")
        await outbox.settle_run(run, "me", done())
        row = await store.reader.sink_run("s", "a")
        assert row is not None
        assert (row.state, row.tries, row.problem) == ("done", 0, None)
        assert (row.written_version, row.row_count, row.took_ms, row.notes) == ("v1", 3, 7, "[]")
        assert await store.reader.sink_run_counts() == {("s", "done"): 1}
        assert await claimed(store, NOW_MS * 2) is None
        # What fails later does not hide what is there.
        await outbox.ask_again("s", "a", NOW_MS)
        run = await claimed(store)
        assert run is not None
        assert run.is_forced == 1
        await outbox.settle_run(run, "me", failed._replace(state="failed"))
        row = await store.reader.sink_run("s", "a")
        assert row is not None
        assert (row.state, row.written_version, row.written_ms) == ("failed", "v1", NOW_MS + 5)

    runner.run(trying())


def test_what_is_asked_for_while_it_is_written_is_written_again(
    store: Store, runner: asyncio.Runner
) -> None:
    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_sink(sink())
        await outbox.ask_seen(sink(), ["a"], 1, NOW_MS)
        run = await claimed(store)
        assert run is not None
        await outbox.ask_seen(sink(seen_event_no=1), ["a"], 2, NOW_MS)
        await outbox.settle_run(run, "me", done())
        again = await claimed(store)
        assert again is not None
        assert (again.asked, again.written_version) == (2, "v1")
        await outbox.settle_run(again, "me", done(version="v2"))
        assert await claimed(store) is None

    runner.run(trying())


def test_a_back_fill_goes_on_where_it_was(store: Store, runner: asyncio.Runner) -> None:
    async def trying() -> None:
        outbox = store.outbox
        begun = sink(backfill_after="")
        await outbox.add_sink(begun)
        assert await outbox.ask_backfilled(begun, ["a"], "a", NOW_MS)
        assert not await outbox.ask_backfilled(begun, ["a"], "a", NOW_MS)
        assert await outbox.ask_backfilled(sink(backfill_after="a"), ["b"], None, NOW_MS)
        assert [row.backfill_after for row in await outbox.sinks()] == [None]
        assert await store.reader.sink_run_counts() == {("s", "pending"): 2}

    runner.run(trying())


def test_changes_are_not_lost_and_what_is_dropped_is_gone(
    store: Store, runner: asyncio.Runner
) -> None:
    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_sink(sink())
        await outbox.ask_seen(sink(), ["a", "b"], 1, NOW_MS)
        assert await outbox.change_sink(sink(state="paused"))
        assert not await outbox.change_sink(sink(state="active"))
        (row,) = await outbox.sinks()
        assert (row.state, row.version, row.seen_event_no) == ("paused", 2, 1)
        assert await outbox.remove_sink("s")
        assert not await outbox.remove_sink("s")
        assert await store.reader.sink_run_counts() == {}

    runner.run(trying())


def test_all_runs_are_asked_for_anew_everywhere(store: Store, runner: asyncio.Runner) -> None:
    async def trying() -> None:
        outbox = store.outbox
        for sink_id in ("s", "t"):
            await outbox.add_sink(sink(sink_id))
            await outbox.ask_seen(sink(sink_id), ["a", "b"], 1, NOW_MS)
        run = await claimed(store)
        assert run is not None
        await outbox.settle_run(run, "me", done())
        assert await outbox.ask_all_anew(NOW_MS + 9) == 4
        for sink_id in ("s", "t"):
            for run_uid in ("a", "b"):
                row = await store.reader.sink_run(sink_id, run_uid)
                assert row is not None
                assert (row.state, row.is_forced, row.asked) == ("pending", 1, 2)

    runner.run(trying())


def test_lists_go_on_behind_what_was_seen(store: Store, runner: asyncio.Runner) -> None:
    async def trying() -> None:
        await store.outbox.add_sink(sink())
        for number, run_uid in enumerate("cab"):
            asked = sink(seen_event_no=number)
            await store.outbox.ask_seen(asked, [run_uid], number + 1, NOW_MS + number // 2)
        first, second = await store.reader.sink_runs("s", limit=2)
        (third,) = await store.reader.sink_runs(
            "s", before=(second.changed_ms, second.run_uid), limit=2
        )
        assert [first.run_uid, second.run_uid, third.run_uid] == ["b", "c", "a"]
        assert await store.reader.sink_runs("s", state="done", limit=2) == []

    runner.run(trying())


@postgres_only
def test_a_run_is_leased_by_one_and_freed_when_that_one_is_gone(
    store: Store, runner: asyncio.Runner
) -> None:
    async def trying() -> None:
        outbox = store.outbox
        await outbox.add_sink(sink())
        await outbox.ask_seen(sink(), ["a", "b"], 1, NOW_MS)
        first = await claimed(store, holder="one")
        second = await claimed(store, holder="other")
        assert first is not None
        assert second is not None
        assert {first.run_uid, second.run_uid} == {"a", "b"}
        assert await claimed(store, holder="third") is None
        assert await outbox.keep_run(first, "one", 60)
        assert not await outbox.keep_run(first, "other", 60)
        await outbox.settle_run(first, "other", done())  # not its own to settle
        await outbox.release_runs("one")
        again = await claimed(store, holder="third")
        assert again is not None
        assert again.run_uid == first.run_uid
        await outbox.settle_run(first, "one", done())  # it has lost it
        assert (await store.reader.sink_run_counts()) == {("s", "pending"): 2}

    runner.run(trying())


@pytest.mark.parametrize("state", ["active", "paused"])
def test_a_sink_comes_back_as_it_was_kept(store: Store, runner: asyncio.Runner, state: str) -> None:
    kept = sink("x", state=state, backfill_after="", secrets="sealed ü")
    runner.run(store.outbox.add_sink(kept))
    assert runner.run(store.outbox.sinks()) == [kept]
