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
