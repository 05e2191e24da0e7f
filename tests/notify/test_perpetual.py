"""Background work outlives what nobody foresaw."""

import asyncio

import pytest

from app.notify import perpetual
from app.notify.perpetual import perpetual as run_on


@pytest.mark.anyio
async def test_it_is_begun_again_after_an_error_and_ends_when_cancelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(perpetual, "PAUSE_S", 0)
    begun = asyncio.Queue[int]()

    async def run() -> None:
        secret = "whsec_of_a_receiver"
        begun.put_nowait(len(secret))
        raise ValueError("unforeseen")

    task = asyncio.create_task(run_on("a task", run))
    for _ in range(3):
        await asyncio.wait_for(begun.get(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    said = "".join(capsys.readouterr())
    assert "unforeseen" in said
