"""`/api/v1/schedules`: what Edges says of them, their iterations, and passing on of changes."""

from collections.abc import Sequence
from time import time_ns
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from app.api.edges_problems import edges_problems
from app.api.json_body import json_object
from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, not_found
from app.api.resources import resources_of
from app.canonical import Json
from app.model import timestamp
from app.reconcile.iterations import (
    GOING_MS_MAX,
    Iteration,
    Phase,
    as_judged,
    last_due_times,
    next_due_times,
    past_iterations,
)
from app.reconcile.schedule_record import phases_of, read_schedule, record_of, time_ms
from app.reconcile.schedules import ScheduleAction, act, produced
from app.reconcile.timetable import Timetable, TimetableError, local_time
from app.record import Record, run_record
from app.store import cursor
from app.store.views import RunFilter, RunView, ScheduleFilter, ScheduleView

LIST_PARAMETERS = ("status", "action_name", "limit", "cursor")
DETAIL_PARAMETERS = ("iterations", "next")
ACTIONS: tuple[ScheduleAction, ...] = get_args(ScheduleAction)

NEXT_SHOWN = 5
ITERATIONS_SHOWN = 50
RUNS_SHOWN = 50
BODY_BYTES_MAX = 16 * 1024 * 1024

_RUNS_MAX = 1_000
_LOOK_BACK_MS = 400 * 24 * 3_600_000


def _now_ms() -> int:
    return time_ns() // 1_000_000


def schedule_record(view: ScheduleView, now_ms: int) -> Record:
    """A schedule as lists show it."""
    told = read_schedule(record_of(view))
    last = phases_of(view)[-1]
    upcoming, problem = _next(phases_of(view), now_ms, 1)
    return {
        "scheduled_run_uid": view.uid,
        "name": told.name,
        "action_name": view.action_name,
        "status": view.status,
        "cron": told.timetable.cron,
        "cron_in_words": told.timetable.in_words(),
        "timezone": told.timetable.timezone,
        "schedule_at": _time(told.timetable.once_ms),
        "next_run_at": _time(upcoming[0]) if upcoming else None,
        "inactive_since": None if last.is_active else timestamp(last.from_ms),
        "created_at": _time(told.created_ms),
        "updated_at": _time(told.updated_ms),
        "first_seen_at": timestamp(view.first_seen_ms),
        "told_at": timestamp(view.told_ms),
        "problem": problem,
    }


async def list_schedules(request: Request) -> Response:
    """Schedules by uid."""
    parameters = Parameters(request, LIST_PARAMETERS)
    given = parameters.text("cursor")
    after = cursor.decode("schedules", given, (str,))[0] if given else ""
    limit = parameters.limit()
    status = parameters.text("status")
    views = await resources_of(request).reader.schedules(
        ScheduleFilter(
            status=None if status is None else status.upper(),
            action_name=parameters.text("action_name"),
        ),
        after=after,
        limit=limit + 1,
    )
    next_cursor = None
    if len(views) > limit:
        next_cursor = cursor.encode("schedules", (views[limit - 1].uid,))
    now_ms = _now_ms()
    return page(request, [schedule_record(view, now_ms) for view in views[:limit]], next_cursor)


async def get_schedule(request: Request) -> Response:
    """One schedule, with its next and its last iterations and the runs that it produced."""
    parameters = Parameters(request, DETAIL_PARAMETERS)
    shown = parameters.limit("iterations", ITERATIONS_SHOWN)
    next_shown = parameters.limit("next", NEXT_SHOWN)
    reader, now_ms = resources_of(request).reader, _now_ms()
    view = await _schedule_of(request)
    phases = phases_of(view)
    zone = read_schedule(record_of(view)).timetable.timezone
    upcoming, _ = _next(phases, now_ms, next_shown)
    runs = await reader.runs(
        RunFilter(scheduled_run_uid=view.uid), sort="-created", after=None, limit=_RUNS_MAX
    )
    noted: dict[int, int] = {}
    iterations: list[Iteration] = []
    try:
        iterations = _iterations(view, phases, runs, now_ms, shown)
        if iterations:
            noted = await reader.missed_iterations(
                view.uid, from_ms=iterations[0].due_ms, limit=shown
            )
    except TimetableError:
        pass  # `problem` says so
    judged = as_judged(iterations, noted, judged_ms=view.judged_ms)
    return answer(
        {
            **schedule_record(view, now_ms),
            "next": [_moment(due_ms, zone) for due_ms in upcoming],
            "iterations": [
                _moment(one.due_ms, zone)
                | {
                    "state": one.state.value,
                    "run_uid": one.run and one.run.run_uid,
                    "skipped_behind": one.behind and one.behind.run_uid,
                    "missed_noted_at": _time(noted.get(one.due_ms)),
                }
                for one in reversed(judged)
            ],
            "runs": [run_record(run) for run in runs[:RUNS_SHOWN]],
            "record": record_of(view),
        }
    )


def _iterations(
    view: ScheduleView,
    phases: Sequence[Phase],
    runs: Sequence[RunView],
    now_ms: int,
    limit: int,
) -> list[Iteration]:
    """The last ones, oldest first. Raises TimetableError."""
    created_ms = read_schedule(record_of(view)).created_ms or 0
    # What was due in the very moment that it was made counts.
    after_ms = max(created_ms - 1, now_ms - _LOOK_BACK_MS)
    if len(runs) == _RUNS_MAX:  # of earlier ones it is not known what ran
        after_ms = max(after_ms, runs[-1].first_received_ms + GOING_MS_MAX)
    due = last_due_times(phases, after_ms, now_ms, limit)
    return past_iterations(due, [produced(run) for run in runs], settled_ms=view.judged_ms)


async def act_on_schedule(request: Request) -> Response:
    """Pause, resume, update or delete: passed on to Edges, whose answer is kept."""
    Parameters(request, ())
    resources = resources_of(request)
    uid, named = request.path_params["scheduled_run_uid"], request.path_params["action"]
    action = next((one for one in ACTIONS if one == named), None)
    if action is None:
        raise not_found(f"action {named} of schedules; there are {', '.join(ACTIONS)}")
    body = await json_object(request, BODY_BYTES_MAX)
    if action == "update":
        _check_update(body)
    elif body:
        raise ProblemError(400, "Bad body", f"{action} takes no body: send none")
    edges = resources.schedule_api()
    if edges is None:
        raise ProblemError(
            409,
            "Edges cannot be asked",
            "without COLLECTOR_EDGES_API_KEY schedules cannot be changed from here: set it, and"
            " start the collector again",
        )
    with edges_problems():
        view = await act(edges, resources.store, uid, action, body=body or None, now_ms=_now_ms)
    if view is None:
        raise not_found(f"schedule {uid} here yet; Edges did it all the same")
    return answer(schedule_record(view, _now_ms()))


def _check_update(body: dict[str, Json] | None) -> None:
    """Refuse what Edges could only misunderstand. Raises a 400 that points at the field."""
    if not body:
        raise ProblemError(
            400, "Bad body", 'update takes a JSON object with what is to change: {"cron": "…"}'
        )
    for name in ("cron", "timezone", "schedule_at"):
        value = body.get(name)
        if value is None:
            continue
        try:
            if not isinstance(value, str):
                raise TimetableError(f"{name} must be a text")  # noqa: TRY301 - told below
            if name == "cron":
                Timetable(cron=value).check()
            elif name == "timezone":
                Timetable(timezone=value).check()
            elif time_ms(value) is None:
                raise TimetableError("must be a time like 2026-11-24T09:30:00Z")  # noqa: TRY301
        except TimetableError as error:
            raise ProblemError(400, "Bad body", f"{name}: {error}", pointer=f"#/{name}") from None


async def _schedule_of(request: Request) -> ScheduleView:
    uid = request.path_params["scheduled_run_uid"]
    found = (await resources_of(request).reader.schedules_by_uid([uid])).get(uid)
    if found is None:
        raise not_found(
            f"schedule {uid} here; schedules are taken over from Edges every so often, which needs"
            " COLLECTOR_EDGES_API_KEY"
        )
    return found


def _next(phases: Sequence[Phase], now_ms: int, limit: int) -> tuple[list[int], str | None]:
    """When it is due next; and what is wrong with its timetable, if it cannot be read."""
    try:
        phases[-1].timetable.check()
        return next_due_times(phases, now_ms, limit), None
    except TimetableError as error:
        return [], str(error)


def _moment(due_ms: int, zone: str) -> Record:
    """A time in UTC, and as the clocks of the schedule's zone show it."""
    try:
        local = local_time(due_ms, zone)
    except TimetableError:
        local = timestamp(due_ms)
    return {"due_at": timestamp(due_ms), "due_at_local": local}


def _time(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else timestamp(unix_ms)
