"""One budget of requests to the Edges API for all replicas: a row, read and written under its lock.

The time is the server's, since the replicas' clocks may differ.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from app import budget
from app.budget import BudgetState, Told
from app.store.postgres.driver import STATEMENT_TIMEOUT_S, Connection, KeptConnection, outages

T = TypeVar("T")

_READ = """
    SELECT state, extract(epoch FROM clock_timestamp())::float8 AS now_s
    FROM budgets WHERE workspace = $1 FOR UPDATE
"""
_BEGIN = "INSERT INTO budgets (workspace, state) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_WRITE = "UPDATE budgets SET state = $2 WHERE workspace = $1"

# Each change is a commit, and what a crash of the server loses of them is told again by Edges.
_SETTINGS = {"synchronous_commit": "off"}

log = structlog.get_logger("store")


class SharedBudgetRow:
    """The budget of a workspace, over a connection of its own. Close it after use."""

    def __init__(
        self, url: str, workspace: str, *, reserve_share: float = budget.RESERVE_SHARE
    ) -> None:
        """`workspace` is a name that the replicas agree on; see `app.budget.take`."""
        self._connection = KeptConnection(url, _SETTINGS, timeout_s=STATEMENT_TIMEOUT_S)
        self._workspace = workspace
        self._reserve_share = reserve_share

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def take(self) -> tuple[BudgetState, float]:
        """As `app.budget.take`, now. Raises StoreUnavailableError."""

        def taking(state: BudgetState, now_s: float) -> tuple[BudgetState, float]:
            return budget.take(state, now_s, reserve_share=self._reserve_share)

        return await self._changed(taking)

    async def learn(self, told: Told) -> BudgetState:
        """As `app.budget.learn`, now. Raises StoreUnavailableError."""

        def learning(state: BudgetState, now_s: float) -> tuple[BudgetState, None]:
            return budget.learn(state, now_s, told), None

        return (await self._changed(learning))[0]

    async def _changed(
        self, change: Callable[[BudgetState, float], tuple[BudgetState, T]]
    ) -> tuple[BudgetState, T]:
        """Change the row, in one short transaction; the new state and what `change` adds."""
        with outages():
            async with self._connection.held() as connection, connection.transaction():
                state, now_s = await self._locked(connection)
                changed, more = change(state, now_s)
                await connection.execute(_WRITE, self._workspace, changed.to_json())
        return changed, more

    async def _locked(self, connection: Connection) -> tuple[BudgetState, float]:
        """The row's state and the server's time; the row is held until the transaction ends."""
        row = await connection.fetchrow(_READ, self._workspace)
        if row is None:
            await connection.execute(_BEGIN, self._workspace, BudgetState().to_json())
            row = await connection.fetchrow(_READ, self._workspace)
        try:
            return BudgetState.from_json(row["state"]), row["now_s"]
        except msgspec.DecodeError as error:
            log.warning("the budget's state cannot be read and begins anew", reason=str(error))
            return BudgetState(), row["now_s"]
