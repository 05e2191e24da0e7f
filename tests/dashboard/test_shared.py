"""Answers that many pages share."""

import asyncio

import pytest

from app.dashboard import shared
from app.dashboard.shared import SharedAnswers

pytestmark = pytest.mark.anyio


class Work:
    """Something that takes a while, and counts how often it was done."""

    def __init__(self) -> None:
        self.done = 0
        self.may_end = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        await self.may_end.wait()
        self.done += 1
        if self.fails:
            raise ValueError("no answer")
        return self.done


async def test_who_asks_together_gets_one_answer() -> None:
    answers, work = SharedAnswers(), Work()
    asking = [asyncio.ensure_future(answers.get("run", work)) for _ in range(50)]
    gone = asyncio.ensure_future(answers.get("run", work))
    await asyncio.sleep(0)
    gone.cancel()
    work.may_end.set()
    assert await asyncio.gather(*asking) == [1] * 50
    assert await answers.get("run", work) == 1
    assert await answers.get("another run", work) == 2


async def test_an_answer_is_worked_out_anew_once_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(shared, "monotonic", lambda: now_s)
    answers, work = SharedAnswers(), Work()
    work.may_end.set()
    assert await answers.get("run", work) == 1
    now_s += shared.FRESH_S_MIN
    assert await answers.get("run", work) == 1
    now_s += 0.1
    assert await answers.get("run", work) == 2

    async def slow() -> str:
        nonlocal now_s
        now_s += 3.0
        return "slow"

    assert await answers.get("slow", slow) == "slow"
    now_s += 3.0 * (shared.FRESH_TIMES - 2)
    assert await answers.get("slow", work) == "slow"
    now_s += 3.0 * 2
    assert await answers.get("slow", work) == 3


async def test_a_failure_is_told_and_not_kept() -> None:
    answers, work = SharedAnswers(), Work()
    work.may_end.set()
    work.fails = True
    for _ in range(2):
        with pytest.raises(ValueError, match="no answer"):
            await answers.get("run", work)
    work.fails = False
    assert await answers.get("run", work) == 3


async def test_no_more_than_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ANSWERS_MAX", 3)
    answers, work = SharedAnswers(), Work()
    work.may_end.set()
    assert [await answers.get(number, work) for number in range(5)] == [1, 2, 3, 4, 5]
    assert [await answers.get(number, work) for number in (2, 3, 4)] == [3, 4, 5]
    assert await answers.get(0, work) == 6
