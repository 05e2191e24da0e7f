"""Events as they happen: what a follower gets."""

import asyncio

import pytest

from app.event import event
from app.notify.live import LiveEvents
from app.store.outbox_rows import NumberedEvent
from app.store.views import RunFilter, RunView


class Outbox:
    """A reader that knows some events, once it may be read."""

    def __init__(self, count: int) -> None:
        self.known = [
            NumberedEvent(no, event("run.started", str(no), time_ms=1, data={}))
            for no in range(1, count + 1)
        ]
        self.answers = asyncio.Event()

    async def last_event_no(self) -> int:
        await self.answers.wait()
        return len(self.known)

    async def events(self, *, after_no: int, limit: int) -> list[NumberedEvent]:
        await asyncio.sleep(0)
        return self.known[after_no : after_no + limit]

    async def runs(
        self, chosen: RunFilter, *, sort: str, after: tuple[int, str] | None, limit: int
    ) -> list[RunView]:
        await asyncio.sleep(0)
        return []


@pytest.mark.anyio
async def test_who_follows_while_the_service_starts_is_told_nothing_old() -> None:
    outbox = Outbox(3)
    live = LiveEvents(outbox)
    following = live.follow(None, None)
    first = asyncio.ensure_future(anext(following))
    running = asyncio.create_task(live.run())
    await asyncio.sleep(0.01)
    outbox.answers.set()
    await asyncio.sleep(0.05)
    outbox.known.append(NumberedEvent(4, event("run.started", "new", time_ms=1, data={})))
    live.wake()
    assert (await asyncio.wait_for(first, 5)).events == outbox.known[3:]
    live.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(following), 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.anyio
async def test_large_events_are_not_kept_in_memory_and_yet_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.notify.live.REMEMBERED_CHARACTERS", 2_000)
    outbox = Outbox(0)
    outbox.answers.set()
    live = LiveEvents(outbox)
    running = asyncio.create_task(live.run())
    following = live.follow(0, None)
    first = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.05)
    for no in range(1, 11):
        raised = event("input.failed", str(no), time_ms=1, data={"input": "x" * 900})
        outbox.known.append(NumberedEvent(no, raised))
    live.wake()
    assert (await asyncio.wait_for(first, 5)).events == outbox.known
    assert len(live._recent) == 2
    live.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Moving(Outbox):
    """A reader with runs that change each time they are looked at."""

    def __init__(self, runs: int) -> None:
        super().__init__(0)
        self.answers.set()
        self.looked: list[float] = []
        self._runs = runs

    async def runs(
        self, chosen: RunFilter, *, sort: str, after: tuple[int, str] | None, limit: int
    ) -> list[RunView]:
        await asyncio.sleep(0)
        self.looked.append(asyncio.get_running_loop().time())
        return [run_view(f"run-{no}", callbacks=len(self.looked)) for no in range(self._runs)]


@pytest.mark.anyio
async def test_progress_of_one_run_goes_to_whoever_follows_it() -> None:
    live = LiveEvents(Moving(3))
    running = asyncio.create_task(live.run())
    following = live.follow(None, ["run.progress"], "run-1")
    told = await asyncio.wait_for(anext(following), 30)
    assert [one.run_uid for one in told.progress] == ["run-1"]
    live.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.anyio
async def test_with_many_followers_progress_comes_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.notify.live.PROGRESS_S", 0.01)
    monkeypatch.setattr("app.notify.live.PROGRESS_TOLD_MAX", 50)
    reader = Moving(5)
    live = LiveEvents(reader)
    running = asyncio.create_task(live.run())
    followers = [asyncio.ensure_future(_read(live)) for _ in range(4)]
    while len(reader.looked) < 5:
        await asyncio.sleep(0.01)
    live.close()
    assert all(count > 0 for count in await asyncio.gather(*followers))
    # 4 followers x 5 runs are 20 pieces, for which 50 a second leave 0.4 s.
    assert reader.looked[-1] - reader.looked[-2] >= 0.39
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _read(live: LiveEvents) -> int:
    return sum([len(told.progress) async for told in live.follow(None, None)])


def run_view(uid: str, callbacks: int) -> RunView:
    """A run as it stands after so many callbacks."""
    counts = {"callbacks": callbacks, "duplicates": 0, "conflicts": 0, "results": callbacks}
    return RunView(
        run_uid=uid,
        status="RUNNING",
        completeness="open",
        action_name=None,
        execution_mode=None,
        scheduled_run_uid=None,
        **counts,
        inputs=callbacks,
        inputs_succeeded=0,
        inputs_failed=0,
        first_received_ms=1,
        last_received_ms=1_000,
        finished_ms=None,
        terminal_ms=0,
        expected_results=None,
        missing=None,
        lost_results=0,
        lost_inputs=0,
        verified_ms=None,
        is_respelled=False,
        told=None,
        next_seq=1,
    )
