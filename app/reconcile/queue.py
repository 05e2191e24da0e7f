"""Which runs are to be reconciled when, and who is at them."""

from collections.abc import Mapping
from time import time_ns
from typing import Protocol

from app.store.rows import Due

LEASE_S = 12.0
"""How long a run waits for another replica when the one that had it died."""

FAILURE_PAUSES_MS = (5_000, 300_000)
"""Shortest and longest pause after a pass that failed; it doubles."""


class Queue(Protocol):
    """Runs by the time at which they are due; each is one replica's at a time.

    All raise StoreUnavailableError where the queue is shared.
    """

    async def ask(self, due: Mapping[str, int], *, is_forced: bool = False) -> None:
        """Have runs taken at these Unix times in milliseconds, or before, if they are due then.

        A run that failed waits until its pause is over, unless it `is_forced`: then what went
        wrong before says nothing any more.
        """

    async def claim(self, limit: int) -> list[str]:
        """Up to `limit` runs that are due now: they are ours until they are settled."""

    async def renew(self, run_uid: str) -> bool:
        """Keep a run for another `LEASE_S`; False if somebody else has it."""

    async def settle(self, run_uid: str, due_ms: int | None, problem: str | None) -> None:
        """Give a run back, to be taken again at `due_ms` or when it was asked for meanwhile."""

    async def state(self, run_uid: str) -> Due | None:
        """Where a run stands; None if nobody asked for it."""


class LocalQueue:
    """The queue of a collector that has its database to itself.

    It is lost with the process: every run that is not proven is asked for at the start.
    """

    def __init__(self) -> None:
        self._due: dict[str, Due] = {}
        self._taken: set[str] = set()

    async def ask(self, due: Mapping[str, int], *, is_forced: bool = False) -> None:
        """Have runs taken at these times, or before."""
        for run_uid, due_ms in due.items():
            known = self._due.get(run_uid, Due(None, 0, None))
            if known.failures and not is_forced:
                continue
            earliest_ms = due_ms if known.due_ms is None else min(due_ms, known.due_ms)
            problem = None if is_forced else known.problem
            self._due[run_uid] = known._replace(due_ms=earliest_ms, problem=problem)

    async def claim(self, limit: int) -> list[str]:
        """Up to `limit` runs that are due now, the longest waiting first."""
        now_ms = time_ns() // 1_000_000
        waiting = [
            (one.due_ms, uid)
            for uid, one in self._due.items()
            if one.due_ms is not None and one.due_ms <= now_ms
        ]
        claimed = [uid for _, uid in sorted(waiting)[:limit]]
        for uid in claimed:
            self._due[uid] = self._due[uid]._replace(due_ms=None)
        self._taken.update(claimed)
        return claimed

    async def renew(self, run_uid: str) -> bool:
        """Nobody else is there."""
        del run_uid
        return True

    async def settle(self, run_uid: str, due_ms: int | None, problem: str | None) -> None:
        """Give a run back."""
        self._taken.discard(run_uid)
        known = self._due.get(run_uid, Due(None, 0, None))
        if due_ms is None and known.due_ms is None and problem is None:
            self._due.pop(run_uid, None)
            return
        times = [one for one in (due_ms, known.due_ms) if one is not None]
        failures = known.failures + 1 if problem else 0
        self._due[run_uid] = Due(min(times, default=None), failures, problem)

    async def state(self, run_uid: str) -> Due | None:
        """Where a run stands; also one that was asked for anew while it is taken is taken."""
        known = self._due.get(run_uid)
        return known._replace(due_ms=None) if known and run_uid in self._taken else known
