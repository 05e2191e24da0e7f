"""Whose turn it is, with real time where time matters."""

import asyncio
from time import monotonic

import pytest

from app import observe
from app.budget import BudgetState, Told
from app.reconcile import budget as module
from app.reconcile.budget import BudgetFullError, FairBudget, LocalBudget, LocalLedger
from app.reconcile.errors import EdgesUnavailableError
from app.store.protocol import StoreUnavailableError

pytestmark = pytest.mark.anyio


class Clock:
    """A minute that passes when it is told to."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Gate:
    """A ledger that gives a turn for each `open`."""

    def __init__(self) -> None:
        self.turns = 0
        self.state = BudgetState()
        self.learned: list[Told] = []
        self.error: Exception | None = None

    async def take(self) -> tuple[BudgetState, float]:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if self.turns == 0:
            return self.state, 0.001
        self.turns -= 1
        self.state = BudgetState(tickets=self.state.tickets + 1)
        return self.state, 0.0

    async def learn(self, told: Told) -> BudgetState:
        if self.error is not None:
            raise self.error
        self.learned.append(told)
        return self.state


async def test_runs_take_turns_however_many_requests_one_has() -> None:
    gate = Gate()
    budget, order = FairBudget(gate), list[str]()

    async def spend(run_uid: str) -> None:
        await budget.spend(run_uid)
        order.append(run_uid)

    tasks = [asyncio.create_task(spend("large")) for _ in range(400)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(spend(name)) for name in ("small", "small", "other")]
    await asyncio.sleep(0)
    assert budget.waiting == 403
    gate.turns = 1000
    await asyncio.gather(*tasks)
    assert order[:6] == ["large", "small", "other", "large", "small", "large"]
    assert len(order) == 403
    assert budget.waiting == 0


async def test_within_a_run_the_first_comes_first() -> None:
    gate = Gate()
    budget, order = FairBudget(gate), list[int]()

    async def spend(number: int) -> None:
        await budget.spend("run")
        order.append(number)

    tasks = [asyncio.create_task(spend(number)) for number in range(20)]
    gate.turns = 100
    await asyncio.gather(*tasks)
    assert order == list(range(20))


async def test_who_goes_away_gives_up_the_turn_and_not_the_budget() -> None:
    gate = Gate()
    budget = FairBudget(gate)
    gone = [asyncio.create_task(budget.spend("gone")) for _ in range(3)]
    stays = asyncio.create_task(budget.spend("stays"))
    await asyncio.sleep(0.005)
    for task in gone:
        task.cancel()
    gate.turns = 1
    assert await stays == 1
    assert gate.learned == []
    await asyncio.gather(*gone, return_exceptions=True)
    # A turn that was given to somebody who went away at that moment is given back.
    late = asyncio.create_task(budget.spend("late"))
    await asyncio.sleep(0.005)
    gate.turns = 1
    while gate.turns:
        await asyncio.sleep(0)
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert [told.ticket for told in gate.learned] == [2]


async def test_a_ledger_that_cannot_be_read_is_told_to_who_asks() -> None:
    gate = Gate()
    budget = FairBudget(gate)
    gate.error = StoreUnavailableError("gone")
    with pytest.raises(StoreUnavailableError):
        await budget.spend("run")
    await budget.learn(200, {}, 1)
    gate.error, gate.turns = None, 1
    assert await budget.spend("run") == 1


async def test_a_queue_that_is_full_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    budget = FairBudget(Gate())
    tasks = [asyncio.create_task(budget.spend("run")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BudgetFullError, match="fewer runs"):
        await budget.spend("run")
    await budget.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)


async def test_what_is_learned_lets_those_who_wait_go_at_once() -> None:
    budget = LocalBudget()
    await budget.learn(200, {}, await budget.spend("run"))
    first, second = await budget.spend("run"), await budget.spend("run")
    await budget.learn(429, {"retry-after": "0"}, first)
    waiting = asyncio.create_task(budget.spend("run"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    began_s = monotonic()
    await budget.learn(200, {"x-ratelimit-remaining": "5000"}, second)
    await waiting
    assert monotonic() - began_s < 0.5
    # The refused one was under way beside it, and may have been counted.
    assert budget.left == 5000 - 1 - 1


async def test_a_long_wait_that_edges_asked_for_is_told_to_all_who_stand_in_line() -> None:
    budget = LocalBudget()
    await budget.learn(429, {"retry-after": "600"}, await budget.spend("run"))
    for outcome in await asyncio.gather(
        *(budget.spend(str(number)) for number in range(3)), return_exceptions=True
    ):
        assert isinstance(outcome, EdgesUnavailableError)
        assert outcome.retry_after_s is not None
        assert 590 < outcome.retry_after_s <= 600


async def test_without_limits_nothing_is_slowed() -> None:
    budget = LocalBudget()
    began_s = monotonic()
    for _ in range(500):
        await budget.learn(200, {}, await budget.spend("run"))
    assert monotonic() - began_s < 2
    assert budget.left is None


async def test_what_is_left_is_a_metric() -> None:
    budget = LocalBudget()
    await budget.learn(200, {"x-ratelimit-remaining": "33"}, await budget.spend("run"))
    assert observe.REGISTRY.get_sample_value("edges_collector_edges_budget_left") == 33


async def test_a_ledger_of_its_own_keeps_the_reserve_it_is_given() -> None:
    ledger = LocalLedger(reserve_share=0.5, clock=Clock())
    state, _ = await ledger.take()
    await ledger.learn(Told(state.tickets, 200, remaining=9))
    waits = [(await ledger.take())[1] for _ in range(5)]
    assert [wait > 0 for wait in waits] == [False] * 4 + [True]
