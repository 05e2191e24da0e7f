"""Schedules of Edges: what is asked of its API, and keeping what it says."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from app.canonical import Json
from app.reconcile.answers import PageAnswer, RecordAnswer
from app.reconcile.errors import EdgesApiError, NotFoundError
from app.reconcile.iterations import Produced
from app.reconcile.schedule_record import gone, record_of, row_of
from app.store.protocol import Store
from app.store.views import RunView, ScheduleView

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
    try:
        answer = await api.act_on_schedule(uid, action, body)
    except NotFoundError:
        await keep_gone(store, uid, now_ms())
        raise
    # Later than whatever a poll was told while Edges was at it.
    told_ms = now_ms()
    known = await store.reader.schedules_by_uid([uid])
    before = record_of(known[uid]) if uid in known else {}
    if answer.status is not None:
        await keep_told(store, {uid: {**before, **answer.fields}}, told_ms)
    elif action == "delete":
        await keep_gone(store, uid, told_ms)
    else:  # it says nothing of how it stands now
        with contextlib.suppress(EdgesApiError):  # it was done all the same: the next poll tells
            await ask_for(api, store, uid, told_ms)
    return (await store.reader.schedules_by_uid([uid])).get(uid)


def produced(run: RunView) -> Produced:
    """A run of a schedule as its iterations are told from it."""
    return Produced(
        run_uid=run.run_uid,
        first_seen_ms=run.first_received_ms,
        last_seen_ms=run.last_received_ms,
        status=run.status,
        finished_ms=run.finished_ms,
    )
