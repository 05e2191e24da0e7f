"""The service as a whole: what was begun is ended, however far it came."""

import asyncio
import threading
from collections.abc import Mapping

import pytest

from app.service import Collector
from app.settings import Settings
from app.store.protocol import StoreUnavailableError


def test_what_fails_while_it_starts_leaves_nothing_that_goes_on(
    database: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread or a worker would keep the process, without a port that anybody could ask."""
    for name, value in database.items():
        monkeypatch.setenv(name, value)
    collector = Collector(Settings())

    async def failing() -> None:
        raise StoreUnavailableError("the database went away")

    monkeypatch.setattr(collector._notifying, "_keep_command", failing)

    async def start() -> None:
        async with collector.running():
            pytest.fail("it should not start")

    before = set(threading.enumerate())
    with pytest.raises(StoreUnavailableError):
        asyncio.run(start())
    left = [one for one in threading.enumerate() if one not in before and not one.daemon]
    assert left == []
    assert not collector._worker.state[0]
