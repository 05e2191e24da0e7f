"""One pass over a run: step after step, each answer logged before the next step is decided."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING, NamedTuple

import structlog
from uuid_utils import uuid7

from app.crash_points import reach
from app.envelope import About, enveloped
from app.model import Arrival, Outcome, Source
from app.proof import proof
from app.reconcile.answers import PageAnswer
from app.reconcile.client import EdgesClient
from app.reconcile.errors import CursorRefusedError, EdgesRefusedError, OutcomeUnknownError
from app.reconcile.steps import (
    CALLBACK_PAGES_MAX,
    ReadRun,
    Replay,
    Situation,
    Step,
    Wait,
    Waits,
    WalkPages,
    next_step,
)
from app.store.reader import Reader
from app.store.views import RunView

if TYPE_CHECKING:
    from app.store.rows import EdgesCallbackRow

STEPS_MAX = 40
"""Of a pass; what is not done by then is left to the next one."""

PAGES_MAX = 100_000
RESTARTS_MAX = 3
"""How often a walk is begun anew because Edges has forgotten the place, in one pass."""

PROJECTED_S = 600.0
"""How long a pass waits for what it logged to be projected."""

ASKED_PROJECTED_S = 2.0
"""How long somebody who asks for a run waits for that to be projected."""

log = structlog.get_logger("reconcile")


class NotProjectedError(Exception):
    """What was logged is not projected in time, so that the next step cannot be decided."""


class RunErasedError(Exception):
    """The run was erased: what Edges tells of it is not logged."""


class Progress(NamedTuple):
    """What a pass has done so far, for whoever watches it."""

    run_uid: str
    doing: str
    rows: int


class Pass:
    """Asks Edges about one run until nothing is left to be asked."""

    def __init__(
        self,
        run_uid: str,
        *,
        client: EdgesClient,
        reader: Reader,
        log_entry: Callable[[Arrival], Awaitable[Outcome]],
        seqs: Callable[[str, str], Awaitable[list[int]]],
        page_limit: int = 500,
        waits: Waits | None = None,
        give_way: Callable[[], Awaitable[None]] | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """`seqs` finds an entry in the log by its run and key.

        `give_way` is awaited before each page of a walk but the first.
        """
        self._run_uid = run_uid
        self._client = client
        self._reader = reader
        self._log_entry = log_entry
        self._seqs = seqs
        self._page_limit = page_limit
        self._waits = waits or Waits()
        self._give_way = give_way
        self._on_progress = on_progress
        self._began_ms = now_ms()
        self._logged_key: str | None = None
        self._restarts = 0

    async def run(self) -> RunView | None:
        """Do what is to be done; the run as it is then, None if there is no such run at Edges.

        Raises EdgesApiError, StoreError or NotProjectedError: what was logged is kept.
        """
        for _ in range(STEPS_MAX):
            run = await self._projected()
            step = next_step(await self._situation(run))
            if step is None:
                return run
            await self._do(step)
        return await self._projected()

    async def ask(self) -> int:
        """Log that the run is to be reconciled; when that was. Durable when it returns.

        It waits a little until that is projected, so that whoever looks at the run sees it.
        """
        await self._log(Source.ACT, About(act="reconcile"), b"null", at_ms=(asked_ms := now_ms()))
        with suppress(NotProjectedError):  # it will be
            await self._projected(ASKED_PROJECTED_S)
        return asked_ms

    async def act(self, name: str) -> None:
        """Pass on `continue`, `resume` or `cancel`, and log the answer."""
        answer = await self._client.act(self._run_uid, name)  # type: ignore[arg-type]
        await self._log(Source.ACT, About(act=name), answer.body)

    async def note_gone(self) -> None:
        """Log that Edges does not know the run, or no longer. Durable when it returns."""
        await self._log(Source.ACT, About(act="gone"), b"null")

    async def baseline(self) -> RunView | None:
        """Ask how the run stands, and return it as it is then."""
        await self._read_run()
        return await self._projected()

    # ---------------------------------------------------------------- looking

    async def _situation(self, run: RunView | None) -> Situation:
        if run is None or run.told is None:
            return Situation(now_ms(), self._began_ms, None, 0, 0, 0)
        proven = proof(run.told, {run.status}, run.results)
        failed: list[EdgesCallbackRow] = []
        if proven.missing_results:
            failed = await self._reader.edges_callbacks(
                self._run_uid, failed_only=True, limit=CALLBACK_PAGES_MAX * 100
            )
        return Situation(
            now_ms(),
            self._began_ms,
            run.told,
            proven.missing_results,
            proven.missing_inputs,
            run.last_received_ms if run.callbacks else 0,
            run.lost_inputs,
            failed,
            self._page_limit,
            self._waits,
        )

    async def _projected(self, within_s: float = PROJECTED_S) -> RunView | None:
        """The run, with all that this pass logged."""
        if self._logged_key is None:
            return await self._reader.run(self._run_uid)
        seqs = await self._seqs(self._run_uid, self._logged_key)
        if not seqs:
            raise RunErasedError(f"run {self._run_uid} was erased")
        seq = seqs[0]
        pause_s, waited_s = 0.01, 0.0
        while waited_s < within_s:
            run = await self._reader.run(self._run_uid)
            if run is not None and run.next_seq > seq:
                return run
            if run is None and not await self._seqs(self._run_uid, self._logged_key):
                raise RunErasedError(f"run {self._run_uid} was erased")
            await asyncio.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(pause_s * 1.5, 0.5)
        raise NotProjectedError(
            f"what Edges told of run {self._run_uid} is logged, but was not projected within"
            f" {within_s:.0f} s: see whether the worker runs (/readyz)"
        )

    # ------------------------------------------------------------------ doing

    async def _do(self, step: Step) -> None:
        match step:
            case ReadRun():
                await self._read_run()
            case WalkPages():
                await self._walk_through(step)
            case Replay():
                await self._replay(step)
            case Wait():
                await asyncio.sleep(max(0, step.until_ms - now_ms()) / 1000 + 0.01)

    async def _read_run(self) -> None:
        answer = await self._client.run(self._run_uid)
        await self._log(Source.RUN, About(), answer.body)

    async def _replay(self, step: Replay) -> None:
        """Log that it is asked before it is: a callback may come before the answer does."""
        for uid in step.callback_uids:
            about = About(act="replay", callback_uid=uid)
            await self._log(Source.ACT, about, b"null")
            try:
                answer = await self._client.replay(self._run_uid, uid)
            except (EdgesRefusedError, OutcomeUnknownError) as error:
                log.info("not replayed", run_uid=self._run_uid, callback=uid, reason=str(error))
                continue
            await self._log(Source.ACT, about, answer.body)

    async def _walk_through(self, step: WalkPages) -> None:
        """Walk, and begin anew where Edges does not know the place any more."""
        try:
            await self._walk(step)
        except CursorRefusedError as error:
            self._restarts += 1
            if self._restarts > RESTARTS_MAX:
                raise
            log.info("a walk begins anew", run_uid=self._run_uid, reason=str(error))
            await self._walk_through(WalkPages(step.kind))

    async def _walk(self, step: WalkPages) -> None:
        """Read pages one after another; the next one is on its way while one is logged."""
        walk_uid, began_ms, number, url = str(uuid7()), now_ms(), 0, None
        if step.walk is not None and step.walk_uid is not None:
            walk_uid, began_ms = step.walk_uid, step.walk.began_ms
            number, url = step.walk.highest + 1, step.walk.next_url
        pages_max = CALLBACK_PAGES_MAX if step.kind == Source.CALLBACKS else PAGES_MAX
        page: PageAnswer | None = await self._page(step.kind, url)
        rows = 0
        while page is not None:
            url = _next_of(step.kind, page)
            is_cut = url is not None and number + 1 >= pages_max
            url = None if is_cut else url
            about = About(
                walk=walk_uid, page=number, began_ms=began_ms, next_url=url, is_cut=is_cut
            )
            logging = asyncio.ensure_future(
                self._log(step.kind, about, page.body, f"edges:{walk_uid}:{number}")
            )
            rows, number = rows + page.count, number + 1
            self._on_progress(Progress(self._run_uid, step.kind.value, rows))
            try:
                page = None if url is None else await self._following(step.kind, url)
            finally:
                await logging
            reach("reconcile page logged")

    async def _following(self, kind: Source, url: str) -> PageAnswer:
        if self._give_way is not None:
            await self._give_way()
        return await self._page(kind, url)

    async def _page(self, kind: Source, url: str | None) -> PageAnswer:
        """A page of a list: the first one, or the one that an earlier page named."""
        if kind == Source.CALLBACKS:
            return await self._client.failed_callbacks(self._run_uid, offset=int(url or 0))
        if url is not None:
            return await self._client.next_page(self._run_uid, url)
        return await self._client.first_page(
            self._run_uid, "inputs" if kind == Source.INPUTS else "outputs"
        )

    async def _log(
        self,
        source: Source,
        about: About,
        answer: bytes,
        key: str | None = None,
        at_ms: int | None = None,
    ) -> None:
        key = key or f"edges:{uuid7()}"
        body = enveloped(about, answer or b"null")
        at_ms = now_ms() if at_ms is None else at_ms
        await self._log_entry(Arrival(self._run_uid, key, body, at_ms, source.value))
        self._logged_key = key


def _next_of(kind: Source, page: PageAnswer) -> str | None:
    """Where a list goes on: records of callbacks go by offset, all else by a cursor."""
    if kind == Source.CALLBACKS:
        return None if page.next_offset is None else str(page.next_offset)
    return page.next_url


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time_ns() // 1_000_000
