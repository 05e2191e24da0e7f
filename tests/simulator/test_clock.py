"""The clock goes at its rate, stops, and is moved on."""

import asyncio
from datetime import UTC, datetime
from time import monotonic

import pytest

from app.simulator.clock import Clock

pytestmark = pytest.mark.anyio

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


async def test_it_shows_the_real_time_unless_told_otherwise() -> None:
    assert abs(Clock().now_s() - datetime.now(UTC).timestamp()) < 1
    assert abs((Clock(starts_at=NEW_YEAR).now() - NEW_YEAR).total_seconds()) < 1


async def test_it_goes_at_its_rate() -> None:
    clock = Clock(rate=3_600, starts_at=NEW_YEAR)
    started = monotonic()
    await clock.wait_until(NEW_YEAR.timestamp() + 600)
    assert 0.1 < monotonic() - started < 1
    clock.set_rate(0)
    stopped_at = clock.now_s()
    await asyncio.sleep(0.01)
    assert clock.now_s() == stopped_at


async def test_one_that_stands_still_goes_only_where_it_is_moved() -> None:
    clock = Clock(rate=0, starts_at=NEW_YEAR)
    waiting = asyncio.create_task(clock.wait_until(NEW_YEAR.timestamp() + 60))
    await asyncio.sleep(0.01)
    clock.move_to(clock.now_s() + 59)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    clock.move_to(clock.now_s() + 1)
    await asyncio.wait_for(waiting, 1)
    clock.move_to(0)  # never back
    assert clock.now() == datetime(2027, 1, 1, 0, 1, tzinfo=UTC)
