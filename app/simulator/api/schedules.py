"""Schedules: their state, and what can be done to them."""

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.parameters import in_order, one_of, page_of, read_json, workspace_of
from app.simulator.api.runs import action_id
from app.simulator.errors import EdgesError
from app.simulator.schedule import STATUSES, Schedule
from app.simulator.workspace import Workspace

Json = dict[str, Any]

_SORTS: Final[dict[str, Callable[[Schedule], str | int | float]]] = {
    "created_at": lambda schedule: schedule.number,
    "updated_at": lambda schedule: schedule.updated_at.timestamp(),
    "status": lambda schedule: schedule.status,
}


async def list_schedules(request: Request) -> Response:
    """GET /schedules."""
    workspace = workspace_of(request)
    page = page_of(request, limit_max=100)
    statuses = one_of(request, "status", STATUSES)
    wanted = {
        name: set(request.query_params.getlist(name))
        for name in ("uid", "user_uid")
        if name in request.query_params
    }
    found = (
        schedule_object(schedule, workspace)
        for schedule in in_order(request, workspace.scheduler.schedules(), _SORTS)
    )
    matching = (
        each
        for each in found
        if each["status"] in statuses and all(each[name] in wanted[name] for name in wanted)
    )
    return answer(list(islice(matching, page.start, page.stop)))


async def get_schedule(request: Request) -> Response:
    """GET /schedules/{scheduled_run_uid}."""
    return answer(schedule_object(_schedule(request), workspace_of(request)))


async def change_schedule(request: Request) -> Response:
    """POST /schedules/{scheduled_run_uid}/{action}: update, pause, resume or delete."""
    schedule, action = _schedule(request), request.path_params["action"]
    if action == "update":
        text = await request.body()
        schedule.update(schedule.plan.changed(read_json(text, "The body")))
    elif action == "pause":
        schedule.pause()
    elif action == "resume":
        schedule.resume()
    elif action == "delete":
        schedule.delete()
    else:
        raise EdgesError("STATUS_404", f"A schedule has no action {action!r}.")
    workspace_of(request).scheduler.attend(schedule)
    return await get_schedule(request)


def schedule_object(schedule: Schedule, workspace: Workspace) -> Json:
    """A schedule as the API shows it."""
    plan = schedule.plan
    return {
        "uid": schedule.uid,
        "name": plan.name,
        "action_id": action_id(plan.launch.action_name),
        "action_name": plan.launch.action_name,
        "user_uid": workspace.user_uid,
        "workspace_uid": workspace.uid,
        "status": schedule.status,
        "postponed_until": None,
        "cron": plan.timing.cron,
        "timezone": plan.timing.timezone,
        "schedule_at": plan.timing.schedule_at,
        "next_execution_at": schedule.next_execution_at,
        "last_executed_at": schedule.last_executed_at,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }


def _schedule(request: Request) -> Schedule:
    return workspace_of(request).scheduler.schedule(request.path_params["scheduled_run_uid"])


ROUTES = [
    Route("/schedules", list_schedules),
    Route("/schedules/{scheduled_run_uid}", get_schedule),
    Route("/schedules/{scheduled_run_uid}/{action}", change_schedule, methods=["POST"]),
]
