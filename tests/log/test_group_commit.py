"""Group commit: who waits goes together, and nobody is told before it is durable."""

import asyncio
from collections.abc import Sequence

import pytest

from app.log import group_commit
from app.log.group_commit import GroupCommit, LogFullError
from app.model import Arrival, Outcome
from app.store.protocol import LogUnavailableError

pytestmark = pytest.mark.anyio


def arrival(key: str, size: int = 10) -> Arrival:
    return Arrival("run", key, b"x" * size, 0)


class Disk:
    """A store that waits for the test's word."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        self.batches.append([one.key for one in arrivals])
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [Outcome.STORED] * len(arrivals)


async def test_all_who_wait_go_into_one_commit() -> None:
    disk = Disk()
    commits = GroupCommit(disk.append)
    commits.start()
    first = commits.submit(arrival("a"))
    await asyncio.sleep(0.01)
    others = [commits.submit(arrival(key)) for key in "bcd"]
    await asyncio.sleep(0.01)
    assert disk.batches == [["a"]]
    assert not first.done()
    disk.gate.set()
    assert await asyncio.gather(first, *others) == [Outcome.STORED] * 4
    assert disk.batches == [["a"], ["b", "c", "d"]]
    await commits.stop()


async def test_stop_commits_what_waits() -> None:
    disk = Disk()
    disk.gate.set()
    commits = GroupCommit(disk.append)
    commits.start()
    waiting = [commits.submit(arrival(key)) for key in "abc"]
    await commits.stop()
    assert [future.result() for future in waiting] == [Outcome.STORED] * 3


async def test_a_failed_commit_is_told_to_each_and_the_next_one_goes_on() -> None:
    disk = Disk()
    disk.gate.set()
    disk.error = LogUnavailableError("disk full")
    commits = GroupCommit(disk.append)
    commits.start()
    for outcome in await asyncio.gather(
        *(commits.submit(arrival(key)) for key in "ab"), return_exceptions=True
    ):
        assert isinstance(outcome, LogUnavailableError)
    disk.error = None
    assert await commits.submit(arrival("c")) is Outcome.STORED
    await commits.stop()


async def test_a_sender_that_left_does_not_stop_the_others() -> None:
    disk = Disk()
    commits = GroupCommit(disk.append)
    commits.start()
    gone, stays = commits.submit(arrival("a")), commits.submit(arrival("b"))
    await asyncio.sleep(0.01)
    gone.cancel()
    disk.gate.set()
    assert await stays is Outcome.STORED
    await commits.stop()


async def test_the_queue_is_bounded_in_number_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "WAITING_MAX", 5)
    monkeypatch.setattr(group_commit, "WAITING_BYTES_MAX", 1_000)
    commits = GroupCommit(Disk().append)
    for key in "abcde":
        commits.submit(arrival(key))
    with pytest.raises(LogFullError):
        commits.submit(arrival("f"))
    commits = GroupCommit(Disk().append)
    commits.submit(arrival("one that alone is over the bound", 5_000))
    with pytest.raises(LogFullError):
        commits.submit(arrival("b", 600))


async def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "BATCH_MAX", 3)
    monkeypatch.setattr(group_commit, "BATCH_BYTES_MAX", 100)
    disk = Disk()
    disk.gate.set()
    commits = GroupCommit(disk.append)
    sizes = {"a": 90, "b": 20, "c": 20, "d": 20, "e": 20, "f": 500}
    waiting = [commits.submit(arrival(key, size)) for key, size in sizes.items()]
    commits.start()
    await asyncio.gather(*waiting)
    assert disk.batches == [["a"], ["b", "c", "d"], ["e"], ["f"]]
    await commits.stop()


async def test_on_a_slow_disk_those_just_answered_are_waited_for() -> None:
    """Sixteen senders in lockstep take one commit each round, not two."""
    batches: list[int] = []

    async def slow(arrivals: Sequence[Arrival]) -> list[Outcome]:
        batches.append(len(arrivals))
        await asyncio.sleep(0.02)
        return [Outcome.STORED] * len(arrivals)

    commits = GroupCommit(slow)
    commits.start()

    async def sender(number: int) -> None:
        for count in range(10):
            await commits.submit(arrival(f"{number}-{count}"))
            await asyncio.sleep(0.0001 * number)

    await asyncio.gather(*(sender(number) for number in range(16)))
    assert sum(batches) == 160
    assert len(batches) <= 14
    await commits.stop()
