"""Schedules with two weeks behind them, written to a database before its collector starts."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import NAMESPACE_DNS, uuid5
from zoneinfo import ZoneInfo

from app.model import Arrival
from app.reconcile.schedule_poll import SchedulePoller
from app.settings import Settings
from app.store.database import opened_for_work, store_of
from app.store.protocol import Store
from tests.callbacks import callback, encoded
from tests.reconcile.fake_edges import FakeEdges
from tests.store.arrivals import project

DAILY, HOURLY, OFTEN = "every-morning", "every-hour", "every-five-minutes"
PARIS = ZoneInfo("Europe/Paris")
HOUR_MS = 3_600_000
INPUTS = 6
DAY_MS = 24 * HOUR_MS
HOSTILE = '"><svg onload=alert(1)><img src=x onerror=alert(1)>'


def write_history(env: Mapping[str, str], *, hourly: str | None = HOSTILE) -> None:
    """Runs every morning but for two that were missed, and one that failed; more often, others.

    `hourly` names the schedule and the action that runs every hour, if one is to.
    Edges is not asked for all schedules again in the next minutes: it would know of none.
    """
    with ThreadPoolExecutor(1) as thread:  # a browser's event loop may be running in this one
        thread.submit(_write_history, env, hourly).result()


def _write_history(env: Mapping[str, str], hourly: str | None) -> None:
    with patch.dict("os.environ", env):
        settings = Settings()
        with asyncio.Runner() as runner:
            runner.run(_write(settings, hourly))
        with opened_for_work(settings, "history") as work:
            project(work)
        with asyncio.Runner() as runner:
            runner.run(_judge(settings, hourly))


def missed_days(now: datetime) -> list[datetime]:
    """Two mornings without a run."""
    return [due for place, due in enumerate(_mornings(now)) if place in (3, 9)]


def morning_run(place: int) -> str:
    """The uid of one of the mornings' runs, oldest first."""
    return str(uuid5(NAMESPACE_DNS, f"morning {place}"))


def _mornings(now: datetime) -> list[datetime]:
    """The last days' nine o'clock in Paris, oldest first; today's if it is over."""
    today = now.astimezone(PARIS).replace(hour=9, minute=0, second=0, microsecond=0)
    dues = [today - timedelta(days=days) for days in range(13, -1, -1)]
    return [due for due in dues if now - due > timedelta(seconds=5)]


def _edges(hourly: str | None) -> FakeEdges:
    edges = FakeEdges()
    edges.add(
        DAILY, "0 9 * * *", name="Leads of the day", timezone="Europe/Paris",
        action_name="linkedin-extract-people",
    )  # fmt: skip
    if hourly is not None:
        edges.add(HOURLY, "0 * * * *", name=hourly, action_name=f"hourly{hourly}")
    edges.add(OFTEN, "*/5 * * * *", status="PAUSED", action_name="linkedin-search-people")
    return edges


async def _write(settings: Settings, hourly: str | None) -> None:
    now = datetime.now(UTC)
    store = store_of(settings, on_news=lambda: None)
    await store.open()
    try:
        await _poll(store, _edges(hourly), _ms(now) - 14 * DAY_MS)
        missed = missed_days(now)
        for place, due in enumerate(_mornings(now)):
            if due not in missed:
                status = "FAILED" if place == 5 else "SUCCEEDED"
                await _hear(store, morning_run(place), _ms(due) + 2_000, DAILY, status)
        full_hour = _ms(now) // HOUR_MS * HOUR_MS
        for hours in range(1, 4 * 24 if hourly else 1):
            if hours % 30 != 7:
                due_ms = full_hour - hours * HOUR_MS
                await _hear(store, f"hour-{hours}", due_ms + 2_000, HOURLY, "SUCCEEDED")
    finally:
        await store.close()


async def _judge(settings: Settings, hourly: str | None) -> None:
    store = store_of(settings, on_news=lambda: None)
    await store.open()
    try:
        for _ in range(3):  # so many are judged at once
            await _poll(store, _edges(hourly), _ms(datetime.now(UTC)))
        await store.take_turn("poll schedules", 300)
    finally:
        await store.close()


async def _poll(store: Store, edges: FakeEdges, now_ms: int) -> None:
    await SchedulePoller(store, edges, every_s=300, grace_s=60, now_ms=lambda: now_ms).poll()


async def _hear(store: Store, run_uid: str, received_ms: int, schedule: str, status: str) -> None:
    arrivals = []
    for number in range(INPUTS):
        ref = f"{run_uid}-{number}"
        body = callback(ref, run=run_uid, batch=ref, row=f"row-{number}", status=status)
        if status == "FAILED":
            body |= {"results": [], "error": {"label": "NO_AVAILABLE_IDENTITY"}}
        body["run"] |= {"scheduled_run_uid": schedule, "action_name": "linkedin-extract-people"}
        arrivals.append(Arrival(run_uid, ref, encoded(body), received_ms + number * 40))
    await store.append(arrivals)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
