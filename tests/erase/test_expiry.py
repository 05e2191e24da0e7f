"""Runs expire so long after their last callback, and leave a record."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from app.erase.expiring import Expiring
from app.model import Arrival, Outcome
from tests.callbacks import sent
from tests.erase.erasing import Erasing
from tests.erase.people import NAME, jane, traces
from tests.project.test_merge import project

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


@pytest.fixture
def erasing(database: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Erasing]:
    for name, value in database.items():
        monkeypatch.setenv(name, value)
    with asyncio.Runner() as runner, ExitStack() as stack:
        yield Erasing(runner, stack)


def append(erasing: Erasing, run: str, key: str, days_ago: int) -> Outcome:
    body = sent(key, run=run, results=(jane(),))
    one = Arrival(run, key, body, NOW_MS - days_ago * DAY_MS)
    (outcome,) = erasing.runner.run(erasing.store.append([one]))
    return outcome


def expire(erasing: Erasing, days: float = 30) -> int:
    expiring = Expiring(erasing.store, days, lambda: None)
    return erasing.runner.run(expiring.expire(NOW_MS))


def test_a_silent_run_expires_and_may_begin_anew(erasing: Erasing) -> None:
    append(erasing, "alive", "c1", days_ago=40)
    append(erasing, "silent", "c1", days_ago=32)
    append(erasing, "silent", "c2", days_ago=31)
    append(erasing, "alive", "c2", days_ago=29)
    project(erasing.projector)
    assert expire(erasing) == 1
    assert expire(erasing) == 0
    assert list(erasing.carry_out()["state"]) == ["alive"]
    (row,) = erasing.runner.run(erasing.store.erasures.rows(before=None, limit=9))
    assert (row.kind, row.run_uid, row.counted.callbacks) == ("expiry", "silent", 2)
    assert row.requested_by == "COLLECTOR_RUN_RETENTION_DAYS"
    assert append(erasing, "silent", "c1", days_ago=0) is Outcome.STORED
    project(erasing.projector)
    assert sorted(erasing.carry_out()["state"]) == ["alive", "silent"]
    append(erasing, "alive", "c3", days_ago=0)
    assert expire(erasing) == 0


def test_a_run_that_calls_back_again_just_in_time_stays(erasing: Erasing) -> None:
    append(erasing, "silent", "c1", days_ago=31)
    project(erasing.projector)
    assert expire(erasing) == 1
    append(erasing, "silent", "c2", days_ago=-10_000)  # by the real clock, after it was asked
    assert erasing.carry_out()["state"]["silent"][2] == 2
    (row,) = erasing.runner.run(erasing.store.erasures.rows(before=None, limit=9))
    assert (row.at.step, row.counted.callbacks) == ("skipped", 0)


def test_what_expired_is_in_no_table(erasing: Erasing, database: Mapping[str, str]) -> None:
    append(erasing, "silent", "c1", days_ago=31)
    project(erasing.projector)
    expire(erasing)
    erasing.carry_out()
    if "COLLECTOR_DATABASE_URL" in database:  # files are left to be overwritten in time
        assert traces(database, NAME) == []
