"""Runs: their state, and what can be done to them."""

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.parameters import in_order, one_of, page_of, run_of, workspace_of
from app.simulator.errors import LABELS, params_of
from app.simulator.run import Run
from app.simulator.workspace import Workspace

Json = dict[str, Any]

RUN_STATUSES: Final = (
    *("CREATED", "INVALID", "QUEUED", "SCHEDULED", "BLOCKED", "STOPPED", "RUNNING", "FAILED"),
    *("PARTIAL_SUCCEEDED", "SUCCEEDED"),
)
_SORTS: Final[dict[str, Callable[[Run], str | int | float]]] = {
    "created_at": lambda run: run.number,
    "updated_at": lambda run: run.updated_at.timestamp(),
    "started_at": lambda run: run.started_at.timestamp() if run.started_at else 0,
    "finished_at": lambda run: run.finished_at.timestamp() if run.finished_at else 0,
    "status": lambda run: run.status,
    "action_name": lambda run: run.launch.action_name,
}


async def list_runs(request: Request) -> Response:
    """GET /runs."""
    workspace = workspace_of(request)
    page = page_of(request, limit_max=100)
    statuses = one_of(request, "status", RUN_STATUSES)
    wanted = {
        name: set(request.query_params.getlist(name))
        for name in ("uid", "action_name", "execution_mode", "user_uid", "workspace_uid")
        if name in request.query_params
    }
    found = (
        run_object(run, workspace) for run in in_order(request, workspace.listed_runs(), _SORTS)
    )
    matching = (
        each
        for each in found
        if each["status"] in statuses and all(each[name] in wanted[name] for name in wanted)
    )
    return answer(list(islice(matching, page.start, page.stop)))


async def get_run(request: Request) -> Response:
    """GET /runs/{run_uid}."""
    return answer(run_object(run_of(request), workspace_of(request)))


async def get_status(request: Request) -> Response:
    """GET /runs/{run_uid}/status."""
    whole = run_object(run_of(request), workspace_of(request)) | {"postponed_until": None}
    names = ("id", "uid", "status", "postponed_until", "started_at", "finished_at")
    return answer({name: whole[name] for name in (*names, "created_at", "updated_at")})


async def cancel(request: Request) -> Response:
    """POST /runs/{run_uid}/cancel."""
    workspace_of(request).cancel(run_of(request))
    return await get_run(request)


async def resume(request: Request) -> Response:
    """POST /runs/{run_uid}/resume."""
    workspace_of(request).resume(run_of(request))
    return await get_run(request)


async def continue_(request: Request) -> Response:
    """POST /runs/{run_uid}/continue."""
    workspace_of(request).continue_(run_of(request))
    return await get_run(request)


def action_id(action_name: str) -> int:
    """A number that goes with the action."""
    return len(action_name)


def run_object(run: Run, workspace: Workspace) -> Json:
    """A run as the API shows it."""
    label = run.rounds[-1].last_label
    target = run.launch.callback
    return {
        "id": run.number,
        "uid": run.uid,
        "action_id": action_id(run.launch.action_name),
        "action_name": run.launch.action_name,
        "retry_count": 0,
        "user_uid": workspace.user_uid,
        "workspace_uid": workspace.uid,
        "execution_mode": "SCHEDULE" if run.scheduled_run_uid else "ASYNC",
        "last_error": label
        and {"label": label, "message": LABELS[label].message, "params": params_of(label)},
        "parameters": run.launch.parameters,
        "callback": target and {"url": target.url},
        "status": run.status,
        "output_count": run.output_count,
        "scheduled_run_uid": run.scheduled_run_uid,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
    }


ROUTES = [
    Route("/runs", list_runs),
    Route("/runs/{run_uid}", get_run),
    Route("/runs/{run_uid}/status", get_status),
    Route("/runs/{run_uid}/cancel", cancel, methods=["POST"]),
    Route("/runs/{run_uid}/resume", resume, methods=["POST"]),
    Route("/runs/{run_uid}/continue", continue_, methods=["POST"]),
]
