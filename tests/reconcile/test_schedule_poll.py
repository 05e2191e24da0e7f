"""Polling schedules: all are taken over, each missed iteration is told once, outages pass."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.model import Arrival, read_time_ms
from app.reconcile import schedule_poll
from app.reconcile.errors import EdgesUnavailableError
from app.reconcile.schedule_poll import SchedulePoller
from app.reconcile.schedule_record import phases_of, record_of
from app.store.database import Work
from app.store.protocol import LogUnavailableError, Store
from app.store.views import ScheduleFilter, ScheduleView
from tests.callbacks import callback, encoded
from tests.conftest import postgres_only
from tests.reconcile.fake_edges import FakeEdges
from tests.store.arrivals import project
from tests.store.told import told_of

HOUR = 3_600_000
DAY = round(datetime(2026, 11, 24, tzinfo=UTC).timestamp() * 1000)


def at(hour: float) -> int:
    return DAY + round(hour * HOUR)


def iso(hour: float) -> str:
    return datetime.fromtimestamp(at(hour) / 1000, UTC).isoformat()


@dataclass
class World:
    """A store, a fake Edges, and a clock that is set by hand (in hours of that day)."""

    store: Store
    runner: asyncio.Runner
    work: Work
    edges: FakeEdges = field(default_factory=FakeEdges)
    now: float = 0.0

    def poller(self, store: Store | None = None, **more: Any) -> SchedulePoller:
        options: dict[str, Any] = {"every_s": 300, "grace_s": 900} | more
        return SchedulePoller(
            store or self.store, self.edges, now_ms=lambda: at(self.now), **options
        )

    def poll(self, now: float) -> None:
        self.now = now
        self.runner.run(self.poller().poll())

    def hear(self, run_uid: str, hour: float, schedule: str, status: str = "SUCCEEDED") -> None:
        """A callback of a run of a schedule, projected."""
        body = callback(f"{run_uid}-{hour}", run=run_uid, status=status)
        body["run"]["scheduled_run_uid"] = schedule
        arrival = Arrival(run_uid, f"{run_uid}-{hour}", encoded(body), at(hour))
        self.runner.run(self.store.append([arrival]))
        project(self.work)

    def view(self, uid: str) -> ScheduleView:
        return self.runner.run(self.store.reader.schedules_by_uid([uid]))[uid]

    def all(self) -> list[str]:
        views = self.runner.run(
            self.store.reader.schedules(ScheduleFilter(), after="", limit=1_000)
        )
        return [view.uid for view in views]

    @property
    def missed(self) -> list[tuple[str, float]]:
        """Of what was told: the schedule, and the hour at which it was due."""
        told = self.runner.run(told_of(self.store, "schedule.missed"))
        due = [read_time_ms(json.loads(one.data)["due_at"]) or 0 for one in told]
        return [
            (str(one.subject), (at_ms - DAY) / HOUR) for one, at_ms in zip(told, due, strict=True)
        ]


@pytest.fixture
def world(store: Store, runner: asyncio.Runner, work: Work) -> World:
    return World(store, runner, work)


# --------------------------------------------------------------------- taking over


@pytest.mark.parametrize("paging", ["offset", "link"])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
def test_all_pages_are_taken_over(world: World, paging: str, count: int) -> None:
    world.edges = FakeEdges(page_size=2, paging=paging)
    for number in range(count):
        world.edges.add(f"s{number}", name=f"Number {number}", more={"of": "it"})
    world.poll(1)
    assert world.all() == sorted(world.edges.records)
    for uid in world.all():
        assert record_of(world.view(uid)) == world.edges.records[uid]
    assert len(world.edges.asked) <= count + 3


def test_a_list_that_goes_in_circles_is_left(world: World) -> None:
    world.edges = FakeEdges(page_size=2, paging="circle")
    for number in range(5):
        world.edges.add(f"s{number}")
    world.poll(1)
    assert world.all() == ["s0", "s1"]
    assert len(world.edges.asked) < 6


def test_pages_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_poll, "PAGES_MAX", 3)
    world.edges = FakeEdges(page_size=1)
    for number in range(9):
        world.edges.add(f"s{number}")
    world.poll(1)
    assert len(world.all()) == 4


def test_a_change_is_noted_with_its_time(world: World) -> None:
    world.edges.add("s1")
    world.poll(1)
    world.poll(1.1)
    world.edges.add("s1", status="PAUSED", updated_at=iso(1.15))
    world.poll(1.2)
    before, after = phases_of(world.view("s1"))
    assert (before.from_ms, before.seen_until_ms) == (at(1), at(1.1))
    assert (after.from_ms, after.status) == (at(1.15), "PAUSED")


def test_what_is_not_listed_any_more_is_asked_for_and_gone(world: World) -> None:
    world.edges.add("s1")
    world.edges.add("s2")
    world.poll(1)
    del world.edges.records["s1"]
    world.poll(1.1)
    assert world.view("s1").status == "DELETED"
    assert world.view("s2").status == "ACTIVE"
    world.edges.asked.clear()
    world.poll(1.2)
    assert world.edges.asked == ["list 0"]
    world.edges.add("s1")
    world.poll(1.3)
    assert world.view("s1").status == "ACTIVE"


def test_a_schedule_that_only_a_run_names_is_asked_for_once(world: World) -> None:
    world.hear("run-1", 0.5, "never-heard-of")
    world.hear("run-2", 0.6, "unlisted")
    world.edges.add("unlisted", status="COMPLETED")
    world.now = 1
    world.runner.run(world.poller().look_up_named())
    assert sorted(world.edges.asked) == ["get never-heard-of", "get unlisted"]
    assert world.view("never-heard-of").status == "DELETED"
    assert world.view("unlisted").status == "COMPLETED"
    world.runner.run(world.poller().look_up_named())
    assert len(world.edges.asked) == 2


# -------------------------------------------------------------------------- missed


def test_what_did_not_come_is_told_once(world: World) -> None:
    world.edges.add("s1")
    world.poll(0.5)
    world.hear("run-1", 1.01, "s1")
    with capture_logs() as logs:
        for now in (1.3, 2.2, 2.3, 2.4, 2.9):
            world.poll(now)
    assert world.missed == [("s1", 2)]
    assert [line["missed"] for line in logs if "missed" in line] == [1]
    noted = world.runner.run(world.store.reader.missed_iterations("s1", from_ms=0, limit=9))
    assert noted == {at(2): at(2.3)}
    world.hear("run-2", 2.95, "s1")  # late, and not taken back
    world.poll(3.3)
    assert world.missed == [("s1", 2), ("s1", 3)]


def test_a_run_that_edges_has_is_not_missed_though_nothing_came_of_it(world: World) -> None:
    world.edges.add("s1")
    world.poll(0.5)
    world.edges.run_records = [
        {"uid": "run-x", "scheduled_run_uid": "s1", "created_at": iso(1.001), "status": "QUEUED"},
        {"uid": "run-y", "scheduled_run_uid": "other", "created_at": iso(2), "status": "QUEUED"},
        {"uid": None, "created_at": 5},
    ]
    world.poll(1.5)
    assert world.missed == []
    assert world.view("s1").judged_ms == at(1.25)
    world.edges.run_records[0]["finished_at"] = iso(1.1)
    world.edges.run_records[0]["status"] = "SUCCEEDED"
    world.poll(2.5)
    assert world.missed == [("s1", 2)]
    assert "runs {'action_name': 'an-action', 'sort': '-created_at'}" in world.edges.asked


def test_what_was_skipped_is_not_missed(world: World) -> None:
    world.edges.add("s1")
    world.poll(0.5)
    world.hear("run-1", 1.01, "s1", status="RUNNING")
    world.poll(3.5)
    assert world.missed == []
    world.hear("run-1", 3.6, "s1")
    world.poll(4.5)
    assert world.missed == [("s1", 4)]


def test_a_paused_schedule_misses_nothing(world: World) -> None:
    world.edges.add("s1")
    world.poll(0.5)
    world.edges.add("s1", status="PAUSED")
    for now in (0.9, 1.5, 2.5, 3.5):
        world.poll(now)
    world.edges.add("s1")
    world.poll(3.6)
    world.poll(4.5)
    assert world.missed == [("s1", 4)]


def test_nothing_is_told_while_edges_or_the_projection_is_behind(world: World) -> None:
    world.edges.add("s1")
    world.poll(0.5)
    world.edges.errors = [EdgesUnavailableError("down")]
    world.now = 9
    with pytest.raises(EdgesUnavailableError):
        world.runner.run(world.poller().poll())
    world.runner.run(world.poller().judge_all())
    assert world.missed == []  # it may have been paused since

    body = encoded(callback("late", run="late"))
    world.runner.run(world.store.append([Arrival("late", "late", body, at(0.6))]))
    world.poll(9.5)
    assert world.missed == []  # its runs may be among what is not projected yet
    project(world.work)
    world.poll(9.6)
    assert [due for _, due in world.missed] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_schedule_that_cannot_be_read_does_not_hinder_others(world: World) -> None:
    world.edges.add("a", cron="@daily")
    world.edges.add("b", timezone="Mars/Crater")
    world.edges.add("c")
    world.poll(0.5)
    with capture_logs() as logs:
        world.poll(1.5)
    assert world.missed == [("c", 1)]
    assert sum("cannot be read" in line["event"] for line in logs) == 2


# ------------------------------------------------------------------------ the loop


@contextlib.asynccontextmanager
async def running(poller: SchedulePoller) -> Any:
    task = asyncio.create_task(poller.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def test_the_loop_outlasts_failures_of_edges_and_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.edges.add("s1")
    world.edges.errors = [EdgesUnavailableError("down")]
    turns: list[Exception | None] = [
        LogUnavailableError("the store is down"),
        RuntimeError("a fault of ours"),
    ]
    take_turn = world.store.take_turn

    async def failing(name: str, every_s: float) -> bool:
        if turns and (error := turns.pop(0)):
            raise error
        return await take_turn(name, every_s)

    monkeypatch.setattr(world.store, "take_turn", failing)

    async def polled() -> None:
        async with running(world.poller(every_s=0.05)) as task:
            await until(lambda: world.edges.asked.count("list 0") >= 3)
            assert not task.done()

    with capture_logs() as logs:
        world.runner.run(polled())
    assert world.all() == ["s1"]
    reasons = [line.get("reason") for line in logs]
    assert "the store is down" in reasons
    assert "down" in reasons
    assert any(line["log_level"] == "error" for line in logs)


@postgres_only
def test_of_several_replicas_one_polls_and_tells(
    world: World, open_store: Callable[[], Store]
) -> None:
    world.edges.add("s1")
    world.poll(0.5)
    world.now = 1.5
    world.edges.asked.clear()
    stores: Sequence[Store] = [world.store, open_store(), open_store()]

    async def together() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for store in stores:
                await stack.enter_async_context(running(world.poller(store, every_s=30)))
            while not await told_of(world.store, "schedule.missed"):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)

    world.runner.run(together())
    assert world.edges.asked.count("list 0") == 1
    assert world.missed == [("s1", 1)]

    async def all_at_once() -> None:
        await asyncio.gather(
            *[world.poller(store).poll() for store in stores], return_exceptions=False
        )

    world.now = 2.5
    world.runner.run(all_at_once())
    assert world.missed == [("s1", 1), ("s1", 2)]
