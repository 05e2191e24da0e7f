"""The loop behind reconciliation: which runs are due, and a pass over each of them.

It looks at what is derived of runs, never at callbacks themselves, so that it does not
matter which replica took them. Passes over different runs go on side by side; their
requests share one budget.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import structlog

from app import observe
from app.model import Arrival, Completeness, Outcome
from app.reconcile.client import EdgesClient
from app.reconcile.errors import (
    EdgesApiError,
    EdgesUnavailableError,
    KeyRefusedError,
    NotFoundError,
)
from app.reconcile.passing import NotProjectedError, Pass, Progress, RunErasedError, now_ms
from app.reconcile.pauses import WARNING_MS, began_ms, due_ms
from app.reconcile.queue import FAILURE_PAUSES_MS, LEASE_S, Queue
from app.store.protocol import Store, StoreError
from app.store.rows import Due
from app.store.views import RunView

Action = Literal["resume", "continue", "cancel"]

TICK_S = 0.5
SWEEP_S = 20.0
"""How often all runs that are not proven are looked at."""

NEWS_OVERLAP_MS = 5_000
"""Runs are projected out of order by about so much."""

_SWEPT_AT_ONCE = 500

log = structlog.get_logger("reconcile")


class Reconciler:
    """Keeps every run as proven as it can be, for as long as it runs."""

    def __init__(
        self,
        store: Store,
        client: EdgesClient,
        queue: Queue,
        *,
        log_entry: Callable[[Arrival], Awaitable[Outcome]],
        silence_s: float,
        concurrency: int,
        give_way: Callable[[], Awaitable[None]] | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """`silence_s`: see `app.reconcile.pauses`; `concurrency`: runs at the same time."""
        self._store = store
        self._client = client
        self._queue = queue
        self._log_entry = log_entry
        self._silence_ms = int(silence_s * 1000)
        self._concurrency = concurrency
        self._give_way = give_way
        self._on_progress = on_progress
        self._passes: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._poked = asyncio.Event()
        self._seen_ms = 0
        self._sweep_at_s = 0.0
        self._warned: set[str] = set()
        self._asked: set[str] = set()
        self.problem: str | None = None
        """Why Edges cannot be asked at all, in a sentence; None if it can."""

    def start(self) -> None:
        """Begin to look for runs that are due."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="reconciler")

    async def stop(self) -> None:
        """End; what passes have learnt is logged, and the next ones go on behind it."""
        self._is_stopping = True
        tasks = [task for task in (self._task, *self._passes.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -------------------------------------------------------------- on demand

    async def ask(self, run_uid: str) -> int:
        """Have a run reconciled now, also one that never called back; when it was asked for.

        Durable when it returns.
        """
        asked_ms = await self._pass(run_uid).ask()
        if self._task is not None:
            self._asked.add(run_uid)
        await self._queue.ask({run_uid: asked_ms}, is_forced=True)
        self._poked.set()
        return asked_ms

    async def reconcile(self, run_uid: str) -> RunView | None:
        """Reconcile a run here and now; the run as it is then. Raises as `Pass.run` does."""
        return await self._pass(run_uid).run()

    async def baseline(self, run_uid: str) -> RunView | None:
        """Ask Edges how a run stands; the run as it is then. Raises as `Pass.run` does."""
        return await self._pass(run_uid).baseline()

    async def act(self, run_uid: str, action: Action) -> None:
        """Pass an action on to Edges, and have the run looked at. Raises EdgesApiError."""
        await self._pass(run_uid).act(action)
        await self._queue.ask({run_uid: now_ms() + 1_000}, is_forced=True)

    async def state(self, run_uid: str) -> Due | None:
        """When a run is due next, and what went wrong the last time."""
        return await self._queue.state(run_uid)

    def _pass(self, run_uid: str) -> Pass:
        return Pass(
            run_uid,
            client=self._client,
            reader=self._store.reader,
            log_entry=self._log_entry,
            seqs=self._store.seqs,
            give_way=self._give_way,
            on_progress=self._on_progress,
        )

    # --------------------------------------------------------------- the loop

    async def _run(self) -> None:
        while True:
            self._poked.clear()
            try:
                await self._look()
                await self._begin()
            except StoreError as error:
                log.warning("reconciliation waits for the database", reason=str(error))
            try:
                async with asyncio.timeout(TICK_S):
                    await self._poked.wait()
            except TimeoutError:
                pass  # time to look again

    async def _look(self) -> None:
        """Find out which runs are due when: those that have news, and now and then all."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._sweep_at_s:
            is_start, self._sweep_at_s = not self._sweep_at_s, now_s + SWEEP_S
            after: str | None = ""
            while after is not None:
                runs = await self._store.reader.unproven_runs(after_uid=after, limit=_SWEPT_AT_ONCE)
                await self._enqueue(runs, is_start=is_start)
                after = runs[-1].run_uid if len(runs) == _SWEPT_AT_ONCE else None
        since_ms = self._seen_ms - NEWS_OVERLAP_MS
        runs = await self._store.reader.unproven_since(since_ms, limit=_SWEPT_AT_ONCE)
        self._seen_ms = max([self._seen_ms, *(run.last_received_ms for run in runs)])
        await self._enqueue(runs)

    async def _enqueue(self, runs: Sequence[RunView], *, is_start: bool = False) -> None:
        """Put runs into the queue; at the start all are due that ever will be."""
        due = {
            run.run_uid: min(at_ms, now_ms()) if is_start else at_ms
            for run in runs
            if run.run_uid not in self._passes
            and (at_ms := due_ms(run, self._silence_ms)) is not None
        }
        if is_start:
            self._asked |= due.keys()
        if due:
            await self._queue.ask(due)
        for run in runs:
            self._warn_of_its_end(run)

    async def _begin(self) -> None:
        free = self._concurrency - len(self._passes)
        if free <= 0:
            return
        for run_uid in await self._queue.claim(free):
            task = asyncio.create_task(self._reconcile(run_uid), name=f"reconcile {run_uid}")
            self._passes[run_uid] = task

    async def _reconcile(self, run_uid: str) -> None:
        """One pass over a run that is ours, and when the next one is due."""
        keeping = asyncio.create_task(self._keep(run_uid), name=f"keep {run_uid}")
        next_ms: int | None = None
        problem: str | None = None
        try:
            before = await self._store.reader.run(run_uid)
            next_ms = None if before is None else due_ms(before, self._silence_ms)
            is_due = before is None or (next_ms is not None and next_ms <= now_ms())
            if is_due or run_uid in self._asked:
                self._asked.discard(run_uid)
                after = await self._pass(run_uid).run()
                self._tell(before, after)
                next_ms = None if after is None else due_ms(after, self._silence_ms)
            self.problem = None
        except RunErasedError:
            next_ms = None
        except NotFoundError as error:
            problem, next_ms = await self._gone(run_uid, error), None
        except (EdgesApiError, StoreError, NotProjectedError) as error:
            problem = str(error)
            next_ms = now_ms() + await self._pause_ms(run_uid, error)
            if isinstance(error, (KeyRefusedError, EdgesUnavailableError)):
                self.problem = problem
            log.warning("not reconciled", run_uid=run_uid, reason=problem)
        except asyncio.CancelledError:
            if self._is_stopping:  # the next one need not wait until our lease has run out
                await self._queue.settle(run_uid, now_ms(), None)
            raise
        except Exception as error:  # ours: the other runs go on
            problem, next_ms = repr(error), now_ms() + FAILURE_PAUSES_MS[1]
            log.exception("reconciling failed", run_uid=run_uid)
        finally:
            keeping.cancel()
            self._passes.pop(run_uid, None)
        try:
            await self._queue.settle(run_uid, next_ms, problem)
        except StoreError as error:
            log.warning("a run is not given back", run_uid=run_uid, reason=str(error))
        observe.RECONCILED.labels("failed" if problem else "done").inc()

    async def _keep(self, run_uid: str) -> None:
        """Renew the lease of a run for as long as its pass lasts; end the pass if it is lost."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                if not await self._queue.renew(run_uid):
                    log.warning("another replica took over", run_uid=run_uid)
                    self._passes[run_uid].cancel()
                    return
            except StoreError as error:
                log.warning("a lease is not renewed", run_uid=run_uid, reason=str(error))

    async def _pause_ms(self, run_uid: str, error: Exception) -> int:
        """How long to wait after a failure: as long as Edges asks, else longer each time."""
        if isinstance(error, EdgesUnavailableError) and error.retry_after_s is not None:
            return int(error.retry_after_s * 1000)
        shortest_ms, longest_ms = FAILURE_PAUSES_MS
        state = await self._queue.state(run_uid)
        return min(longest_ms, shortest_ms << min(state.failures if state else 0, 10))

    # ---------------------------------------------------------------- telling

    async def _gone(self, run_uid: str, error: NotFoundError) -> str:
        """Edges does not know the run: it is archived, or never was. Nothing is asked again."""
        await self._pass(run_uid).note_gone()
        log.warning("a run is gone from Edges", run_uid=run_uid, reason=str(error))
        return str(error)

    def _tell(self, before: RunView | None, after: RunView | None) -> None:
        """Say what a pass found out: the log and the metrics are where operators look first."""
        if after is None:
            return
        lost_before = (before.lost_results, before.lost_inputs) if before else (0, 0)
        results, inputs = after.lost_results - lost_before[0], after.lost_inputs - lost_before[1]
        if results > 0 or inputs > 0:
            observe.LOST.labels("results").inc(max(0, results))
            observe.LOST.labels("inputs").inc(max(0, inputs))
            log.warning(
                "callbacks were lost",
                run_uid=after.run_uid,
                results_recovered=results,
                inputs_recovered=inputs,
                callbacks_failed=after.told.failed_callbacks if after.told else 0,
            )
        if before is None or before.completeness != after.completeness:
            log.info(
                "reconciled",
                run_uid=after.run_uid,
                status=after.status,
                completeness=after.completeness,
                results=after.results,
                missing=after.missing,
            )

    def _warn_of_its_end(self, run: RunView) -> None:
        """Once: a run that is not whole, and soon cannot be asked about any more."""
        is_old = now_ms() - began_ms(run) > WARNING_MS
        if (
            is_old
            and run.completeness == Completeness.INCOMPLETE
            and run.run_uid not in self._warned
        ):
            self._warned.add(run.run_uid)
            log.warning(
                "an incomplete run will be archived by Edges 90 days after it was made",
                run_uid=run.run_uid,
                missing=run.missing,
            )
