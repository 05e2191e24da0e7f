"""Who sends the next request to the Edges API, and when: one budget, shared fairly by runs."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from time import monotonic, time
from typing import Final, Protocol

import structlog

from app import budget as core
from app.budget import BudgetState, Told
from app.observe import EDGES_BUDGET_LEFT, EDGES_BUDGET_WAIT_SECONDS
from app.reconcile.errors import EdgesUnavailableError
from app.store.protocol import StoreUnavailableError

WAITING_MAX: Final = 10_000
TURN_WAIT_MAX_S: Final = 90.0
"""What the budget of a minute cannot exceed, but a `Retry-After` can: too long to stand in line."""

# Others may share the budget, so that what is left can change without our doing.
_ASK_AGAIN_S: Final = 2.0

log = structlog.get_logger("reconcile")


class BudgetFullError(EdgesUnavailableError):
    """Too many requests wait for the budget."""


class Budget(Protocol):
    """The requests that a workspace may send to the Edges API."""

    async def spend(self, run_uid: str) -> int:
        """Wait until one request may be sent for the run; the request's ticket.

        Runs take turns. Every ticket must come back with `learn`.
        """

    async def learn(self, status: int, headers: Mapping[str, str], ticket: int) -> None:
        """Take in what the answer to a request told. `status` is 0 if there was no answer."""

    @property
    def left(self) -> int | None:
        """Requests left in this minute, at the least; None as long as Edges has not told."""


class Ledger(Protocol):
    """Where the state of a budget is kept: in this process, or in a row that replicas share."""

    async def take(self) -> tuple[BudgetState, float]:
        """As `app.budget.take`, now. Raises StoreUnavailableError."""

    async def learn(self, told: Told) -> BudgetState:
        """As `app.budget.learn`, now. Raises StoreUnavailableError."""


class LocalLedger:
    """The state of a budget that only this process knows of."""

    def __init__(
        self,
        *,
        reserve_share: float = core.RESERVE_SHARE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._state = BudgetState()
        self._reserve_share = reserve_share
        self._clock = clock

    async def take(self) -> tuple[BudgetState, float]:
        """As `app.budget.take`, now."""
        self._state, wait_s = core.take(
            self._state, self._clock(), reserve_share=self._reserve_share
        )
        return self._state, wait_s

    async def learn(self, told: Told) -> BudgetState:
        """As `app.budget.learn`, now."""
        self._state = core.learn(self._state, self._clock(), told)
        return self._state


class FairBudget:
    """A budget whose waiting requests are served round robin by run, in order within a run."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._left: int | None = None
        self._waiting: OrderedDict[str, deque[asyncio.Future[int]]] = OrderedDict()
        self._waiting_count = 0
        self._serving: asyncio.Task[None] | None = None
        self._has_news = asyncio.Event()

    @property
    def left(self) -> int | None:
        """Requests left in this minute, at the least; None as long as Edges has not told."""
        return self._left

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._waiting_count

    async def spend(self, run_uid: str) -> int:
        """Wait until one request may be sent for the run; the request's ticket.

        Raises BudgetFullError if too many wait, EdgesUnavailableError if Edges has asked to be
        left alone for long, StoreUnavailableError if the state of the budget cannot be read.
        """
        if self._waiting_count >= WAITING_MAX:
            raise BudgetFullError(
                f"{WAITING_MAX} requests to Edges wait for their turn already: reconcile fewer runs"
                " at the same time"
            )
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        began_s = monotonic()
        self._waiting.setdefault(run_uid, deque()).append(turn)
        self._waiting_count += 1
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve(), name="budget of the Edges API")
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                await self.learn(0, {}, turn.result())  # its turn came too late
            raise
        finally:
            EDGES_BUDGET_WAIT_SECONDS.inc(monotonic() - began_s)

    async def learn(self, status: int, headers: Mapping[str, str], ticket: int) -> None:
        """Take in what the answer to a request told. `status` is 0 if there was no answer.

        If it cannot be written down, the budget stays what it was: too small rather than too large.
        """
        try:
            state = await self._ledger.learn(core.read_headers(ticket, status, headers, time()))
        except StoreUnavailableError as error:
            log.warning("what Edges told of its limits is lost", reason=str(error))
            return
        self._tell(state)
        self._has_news.set()

    async def close(self) -> None:
        """Cancel all who wait."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        for queue in self._waiting.values():
            for turn in queue:
                turn.cancel()

    async def _serve(self) -> None:
        """Give turns for as long as somebody waits."""
        try:
            while self._someone_waits():
                self._has_news.clear()
                try:
                    state, wait_s = await self._ledger.take()
                except Exception as error:  # whatever it is, it is for the one who waits
                    if (turn := self._next()) is not None:
                        turn.set_exception(error)
                    continue
                self._tell(state)
                if wait_s > TURN_WAIT_MAX_S:
                    if (turn := self._next()) is not None:
                        turn.set_exception(_left_alone(wait_s))
                elif wait_s > 0:
                    await self._news_within(min(wait_s, _ASK_AGAIN_S))
                elif (turn := self._next()) is not None:
                    turn.set_result(state.tickets)
                else:  # all went away while we asked
                    await self.learn(0, {}, state.tickets)
        finally:
            self._serving = None

    def _someone_waits(self) -> bool:
        """Whether there is a turn to give, once those who went away are forgotten."""
        for run_uid, queue in list(self._waiting.items()):
            while queue and queue[0].done():
                queue.popleft()
                self._waiting_count -= 1
            if queue:
                return True
            del self._waiting[run_uid]
        return False

    def _next(self) -> asyncio.Future[int] | None:
        """Whose turn it is; its run goes to the end of the round. None if nobody waits."""
        if not self._someone_waits():
            return None
        run_uid, queue = next(iter(self._waiting.items()))
        self._waiting.move_to_end(run_uid)
        self._waiting_count -= 1
        return queue.popleft()

    async def _news_within(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._has_news.wait()
        except TimeoutError:
            pass  # time itself is the news

    def _tell(self, state: BudgetState) -> None:
        self._left = state.left
        if state.left is not None:
            EDGES_BUDGET_LEFT.set(max(0, state.left))


def _left_alone(wait_s: float) -> EdgesUnavailableError:
    return EdgesUnavailableError(
        f"Edges has asked this workspace to send nothing for another {wait_s:.0f} s (Retry-After);"
        " try again later",
        retry_after_s=wait_s,
    )


class LocalBudget(FairBudget):
    """The budget of a workspace that only this process spends from, as far as we know."""

    def __init__(
        self,
        *,
        reserve_share: float = core.RESERVE_SHARE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`reserve_share` of the limit is left to the user's own use of the API."""
        super().__init__(LocalLedger(reserve_share=reserve_share, clock=clock))
