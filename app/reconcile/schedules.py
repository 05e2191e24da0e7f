"""Schedules of Edges: what is asked of its API, and keeping what it says."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from app.canonical import Json
from app.reconcile.answers import PageAnswer, RecordAnswer
from app.reconcile.errors import EdgesUnavailableError, NotFoundError
from app.reconcile.iterations import Produced
from app.reconcile.schedule_record import gone, record_of, row_of
from app.store.protocol import Store
from app.store.views import RunView, ScheduleView

_TRIES_MAX = 5
"""Of keeping an answer while polls keep others."""

ScheduleAction = Literal["update", "pause", "resume", "delete"]


class ScheduleApi(Protocol):
    """What is asked of Edges; `EdgesClient` has it. All raise what `app.reconcile.errors` has."""

    async def schedules(self, *, offset: int = 0, next_url: str | None = None) -> PageAnswer:
        """A page of all schedules, with its records."""

    async def schedule(self, uid: str) -> RecordAnswer:
        """One schedule. Raises NotFoundError if Edges does not know it."""

    async def act_on_schedule(
        self, uid: str, action: ScheduleAction, body: Mapping[str, object] | None = None
    ) -> RecordAnswer:
        """The schedule as it is after that."""

    async def runs(
        self, *, offset: int, limit: int = 100, **filters: str | int | Sequence[str]
    ) -> PageAnswer:
        """A page of all runs, with its records."""


async def keep_told(
    store: Store, told: Mapping[str, Mapping[str, Json]], told_ms: int
) -> list[str]:
    """Keep what Edges told of schedules at `told_ms`, by uid; the uids that were kept.

    What another has kept meanwhile is left as it is. Raises StoreUnavailableError.
    """
    known = await store.reader.schedules_by_uid([*told])
    rows = [
        row_of(uid, fields, known.get(uid), told_ms)
        for uid, fields in told.items()
        if uid not in known or known[uid].told_ms < told_ms
    ]
    return await store.save_schedules(rows) if rows else []


async def ask_for(api: ScheduleApi, store: Store, uid: str, told_ms: int) -> None:
    """Ask for one schedule, and keep what is told, also that there is none.

    Raises EdgesApiError or StoreUnavailableError.
    """
    try:
        answer = await api.schedule(uid)
    except NotFoundError:
        await keep_gone(store, uid, told_ms)
    else:
        await keep_told(store, {uid: answer.fields}, told_ms)


async def keep_gone(store: Store, uid: str, told_ms: int) -> None:
    """Keep that Edges does not know a schedule, or no longer. Raises StoreUnavailableError."""
    before = (await store.reader.schedules_by_uid([uid])).get(uid)
    await store.save_schedules([gone(uid, before, told_ms)])


async def act(
    api: ScheduleApi,
    store: Store,
    uid: str,
    action: ScheduleAction,
    *,
    body: Mapping[str, object] | None,
    now_ms: Callable[[], int],
) -> ScheduleView | None:
    """Pass an action on to Edges, keep what it says, and tell how the schedule stands then.

    Raises EdgesApiError if Edges did not do it, or StoreUnavailableError.
    """
    fields: Mapping[str, Json] | None
    try:
        answer = await api.act_on_schedule(uid, action, body)
        fields = answer.fields
        if answer.status is None and action == "delete":
            fields = None
        elif answer.status is None:  # it says nothing of how the schedule stands now
            with contextlib.suppress(EdgesUnavailableError):  # it was done all the same
                fields = (await api.schedule(uid)).fields
    except NotFoundError:
        await _keep_answer(store, uid, None, now_ms)
        raise
    await _keep_answer(store, uid, fields, now_ms)
    return (await store.reader.schedules_by_uid([uid])).get(uid)


async def _keep_answer(
    store: Store, uid: str, fields: Mapping[str, Json] | None, now_ms: Callable[[], int]
) -> None:
    """Keep what was answered to an action, or (None) that there is no such schedule any more.

    It counts for more than what polls were told meanwhile, by whatever clock of a replica.
    """
    for _ in range(_TRIES_MAX):
        before = (await store.reader.schedules_by_uid([uid])).get(uid)
        told_ms = max(now_ms(), before.told_ms + 1 if before else 0)
        if fields is None:
            row = gone(uid, before, told_ms)
        else:
            row = row_of(uid, {**(record_of(before) if before else {}), **fields}, before, told_ms)
        if await store.save_schedules([row]):
            return


def produced(run: RunView) -> Produced:
    """A run of a schedule as its iterations are told from it."""
    return Produced(
        run_uid=run.run_uid,
        first_seen_ms=run.first_received_ms,
        last_seen_ms=run.last_received_ms,
        status=run.status,
        finished_ms=run.finished_ms,
    )
