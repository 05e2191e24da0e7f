"""Asks Edges for its schedules every so often, and tells once of each iteration that is missed.

Of several replicas one does it at a time: it takes a turn that the store gives to one alone.
One that dies in its turn is made up for by the next.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import islice
from time import time_ns

import structlog

from app import observe
from app.canonical import Json
from app.reconcile.answers import PageAnswer, Record
from app.reconcile.errors import EdgesApiError
from app.reconcile.iterations import (
    ACTIVE,
    GOING_MS_MAX,
    Judgement,
    Produced,
    due_to_judge,
    judge,
)
from app.reconcile.schedule_record import DELETED, phases_of, read_schedule, time_ms
from app.reconcile.schedules import ScheduleApi, ask_for, keep_told, produced
from app.reconcile.timetable import TimetableError
from app.store.protocol import Store, StoreUnavailableError
from app.store.views import RunFilter, ScheduleFilter, ScheduleView

PAGES_MAX = 50
"""Of 100 schedules each."""

ASKED_MAX = 20
"""Schedules asked for one by one in a turn; what is left is asked for in the next."""

RUNS_MAX = 2_000
"""Runs of one schedule that are looked at to judge it."""

LOOK_UP_S = 30.0
"""How soon a schedule is asked for that a run names and nobody knows."""

_UNLISTED_MS = 24 * 3_600_000
"""How often a schedule that is not listed any more, and was not active, is asked for."""

_RUNS_AT_EDGES = 100
_PORTION = 100

log = structlog.get_logger("schedules")


class SchedulePoller:
    """Keeps schedules up to date and judges their iterations, for as long as `run` goes on."""

    def __init__(
        self,
        store: Store,
        api: ScheduleApi,
        *,
        every_s: float,
        grace_s: float,
        now_ms: Callable[[], int] = lambda: time_ns() // 1_000_000,
    ) -> None:
        """`grace_s` after its time an iteration without a run is missed."""
        self._store = store
        self._api = api
        self._every_s = every_s
        self._grace_ms = round(grace_s * 1000)
        self._now_ms = now_ms
        self._unreadable: set[str] = set()

    async def run(self) -> None:
        """Poll until cancelled; whatever fails is logged, and tried again in the next turn."""
        rest_s = min(LOOK_UP_S, self._every_s)
        while True:
            try:
                if await self._store.take_turn("poll schedules", self._every_s):
                    async with asyncio.timeout(max(60.0, self._every_s)):
                        await self.poll()
                elif await self._store.take_turn("look up schedules", rest_s):
                    await self.look_up_named()
            except (EdgesApiError, StoreUnavailableError, TimeoutError) as error:
                log.warning("schedules are not up to date", reason=str(error) or "it took too long")
            except Exception:  # ours: say where, and go on with the next turn
                log.exception("polling schedules failed")
            await asyncio.sleep(rest_s)

    async def poll(self) -> None:
        """Ask for all schedules, keep what is told, and judge what is due.

        Raises EdgesApiError or StoreUnavailableError; what was kept until then stays.
        """
        try:
            listed, is_whole = await self._walk()
            if is_whole:
                await self._ask_for_unlisted(listed)
            await self.look_up_named()
            await self.judge_all()
        except BaseException:
            observe.SCHEDULE_POLLS.labels("failed").inc()
            raise
        observe.SCHEDULE_POLLS.labels("ok" if is_whole else "partial").inc()

    async def look_up_named(self) -> None:
        """Ask for schedules that runs name and nobody knows. Raises as `poll`."""
        for uid in await self._store.reader.schedules_only_named(ASKED_MAX):
            await ask_for(self._api, self._store, uid, self._now_ms())

    # ------------------------------------------------------------------- asking

    async def _walk(self) -> tuple[set[str], bool]:
        """The uids of all schedules, kept page by page; and whether these were all pages."""
        listed: set[str] = set()
        page = await self._page(listed, offset=0)
        by_link = False
        for _ in range(PAGES_MAX):
            if page.next_offset is None and page.next_url is None:
                return listed, True
            before, last = len(listed), page
            by_link = by_link or page.next_offset is None
            if not by_link:
                page = await self._page(listed, offset=last.next_offset or 0)
                # The documents do not say how this list pages. The same again: by its link.
                by_link = len(listed) == before and bool(page.records)
                if not by_link or last.next_url is None:
                    continue
            page = await self._page(listed, next_url=last.next_url)
            if len(listed) == before:
                break
        log.warning("not all schedules were listed", schedules=len(listed))
        return listed, False

    async def _page(
        self, listed: set[str], *, offset: int = 0, next_url: str | None = None
    ) -> PageAnswer:
        told_ms = self._now_ms()
        page = await self._api.schedules(offset=offset, next_url=next_url)
        told = _by_uid(page.records or ())
        listed.update(told)
        await keep_told(self._store, told, told_ms)
        return page

    async def _ask_for_unlisted(self, listed: set[str]) -> None:
        """Ask for those one by one that are known and not listed: they may be gone."""
        now_ms = self._now_ms()
        unlisted = [
            view.uid
            async for view in self._all()
            if view.uid not in listed
            and view.status != DELETED
            and (view.status == ACTIVE or view.told_ms < now_ms - _UNLISTED_MS)
        ]
        for uid in islice(unlisted, ASKED_MAX):
            await ask_for(self._api, self._store, uid, self._now_ms())

    async def _all(self) -> AsyncIterator[ScheduleView]:
        """Every schedule that is known, by uid."""
        after = ""
        while page := await self._store.reader.schedules(
            ScheduleFilter(), after=after, limit=_PORTION
        ):
            for view in page:
                yield view
            after = page[-1].uid

    # ------------------------------------------------------------------ judging

    async def judge_all(self) -> None:
        """Judge what was due of every schedule; tell of what is missed. Raises as `poll`."""
        lag = await self._store.reader.lag(self._now_ms())
        async for view in self._all():
            now_ms = self._now_ms()
            # A run may be among the callbacks that are not projected yet.
            settled_ms = min(
                now_ms - self._grace_ms, now_ms - round(lag.age_s * 1000), view.told_ms
            )
            try:
                await self._judge(view, settled_ms, now_ms)
            except TimetableError as error:
                if view.uid not in self._unreadable and len(self._unreadable) < _PORTION:
                    self._unreadable.add(view.uid)
                    log.warning("a schedule cannot be read", schedule=view.uid, reason=str(error))
            await asyncio.sleep(0)

    async def _judge(self, view: ScheduleView, settled_ms: int, now_ms: int) -> None:
        due = due_to_judge(phases_of(view), view.judged_ms, now_ms)
        if not due or due[0].due_ms > settled_ms:
            return
        chosen = RunFilter(
            scheduled_run_uid=view.uid, created_after_ms=view.judged_ms - GOING_MS_MAX
        )
        views = await self._store.reader.runs(chosen, sort="created", after=None, limit=RUNS_MAX)
        if len(views) == RUNS_MAX:
            settled_ms = min(settled_ms, views[-1].first_received_ms)
        runs = {view.run_uid: produced(view) for view in views}
        judgement = judge(due, [*runs.values()], settled_ms=settled_ms)
        if judgement.missed:  # it may be that only its callbacks did not come
            runs |= await self._runs_at_edges(view, runs)
            judgement = judge(due, [*runs.values()], settled_ms=settled_ms)
        await self._note(view, judgement, now_ms)

    async def _runs_at_edges(
        self, view: ScheduleView, known: Mapping[str, Produced]
    ) -> dict[str, Produced]:
        """The latest runs of a schedule that Edges has, by uid, as far as one page goes."""
        filters = {"action_name": view.action_name} if view.action_name else {}
        page = await self._api.runs(offset=0, limit=_RUNS_AT_EDGES, sort="-created_at", **filters)
        found = {}
        for record in page.records or ():
            created_ms = time_ms(record.created_at)
            uid = record.uid
            if uid and created_ms and record.fields.get("scheduled_run_uid") == view.uid:
                heard = known.get(uid)
                found[uid] = Produced(
                    run_uid=uid,
                    first_seen_ms=heard.first_seen_ms if heard else created_ms,
                    last_seen_ms=self._now_ms(),
                    status=record.status or "RUNNING",
                    created_ms=created_ms,
                    finished_ms=time_ms(record.fields.get("finished_at")),
                )
        return found

    async def _note(self, view: ScheduleView, judgement: Judgement, now_ms: int) -> None:
        missed = judgement.missed
        if judgement.judged_ms <= view.judged_ms or not await self._store.judge_schedule(
            view.uid,
            missed,
            from_ms=view.judged_ms,
            judged_ms=judgement.judged_ms,
            now_ms=now_ms,
        ):
            return  # another replica was quicker
        if not missed:
            return
        observe.SCHEDULES_MISSED.inc(len(missed))
        log.warning(
            "a schedule missed iterations",
            schedule=view.uid,
            action_name=view.action_name,
            missed=len(missed),
            first_due_ms=missed[0],
            last_due_ms=missed[-1],
        )


def _by_uid(records: Sequence[Record]) -> dict[str, Mapping[str, Json]]:
    """Records that name their schedule."""
    found = {}
    for record in records:
        uid = read_schedule(record.fields).uid
        if uid is not None:
            found[uid] = record.fields
    return found
