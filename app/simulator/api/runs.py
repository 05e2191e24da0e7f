"""Runs: their state, their inputs and outputs, and what can be done to them."""

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.cursor import LIMIT_DEFAULT, LIMIT_MAX, next_page, read_cursor
from app.simulator.api.parameters import in_order, one_of, whole_number, workspace_of
from app.simulator.callback import input_data, moment
from app.simulator.chance import uid
from app.simulator.errors import LABELS, params_of
from app.simulator.run import Position, Run
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
    limit = whole_number(request, "limit", 10, 1, 100)
    offset = whole_number(request, "offset", 0, 0, 10**9)
    statuses = one_of(request, "status", RUN_STATUSES)
    wanted = {
        name: set(request.query_params.getlist(name))
        for name in ("uid", "action_name", "execution_mode", "user_uid", "workspace_uid")
        if name in request.query_params
    }
    found = (
        run_object(run, workspace) for run in in_order(request, workspace.runs.values(), _SORTS)
    )
    matching = (
        each
        for each in found
        if each["status"] in statuses and all(each[name] in wanted[name] for name in wanted)
    )
    return answer(list(islice(matching, offset, offset + limit)))


async def get_run(request: Request) -> Response:
    """GET /runs/{run_uid}."""
    return answer(run_object(_run(request), workspace_of(request)))


async def get_status(request: Request) -> Response:
    """GET /runs/{run_uid}/status."""
    whole = run_object(_run(request), workspace_of(request)) | {"postponed_until": None}
    names = ("id", "uid", "status", "postponed_until", "started_at", "finished_at")
    return answer({name: whole[name] for name in (*names, "created_at", "updated_at")})


async def list_inputs(request: Request) -> Response:
    """GET /runs/{run_uid}/inputs."""
    run = _run(request)
    limit = whole_number(request, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
    (start,) = read_cursor(request, 1) or (whole_number(request, "offset", 0, 0, 10**9),)
    end = min(start + limit, len(run.launch.inputs))
    page = [input_object(run, index) for index in range(start, end)]
    return answer(page, headers=next_page(request, end) if end < len(run.launch.inputs) else None)


async def list_outputs(request: Request) -> Response:
    """GET /runs/{run_uid}/outputs."""
    run = _run(request)
    limit = whole_number(request, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
    offset = whole_number(request, "offset", 0, 0, 10**9)
    place = read_cursor(request, 3)
    start = Position(*place) if place else Position()
    # One more than the page tells whether there is another.
    found = list(islice(run.outputs_from(start), offset, offset + limit + 1))
    page = [result for result, _ in found[:limit]]
    if len(found) <= limit:
        return answer(page)
    after = found[limit - 1][1]
    return answer(
        page, headers=next_page(request, after.round_number, after.input_index, after.offset)
    )


async def cancel(request: Request) -> Response:
    """POST /runs/{run_uid}/cancel."""
    workspace_of(request).cancel(_run(request))
    return await get_run(request)


async def resume(request: Request) -> Response:
    """POST /runs/{run_uid}/resume."""
    workspace_of(request).resume(_run(request))
    return await get_run(request)


async def continue_(request: Request) -> Response:
    """POST /runs/{run_uid}/continue."""
    workspace_of(request).continue_(_run(request))
    return await get_run(request)


def run_object(run: Run, workspace: Workspace) -> Json:
    """A run as the API shows it."""
    label = run.rounds[-1].last_label
    target = run.launch.callback
    return {
        "id": run.number,
        "uid": run.uid,
        "action_id": len(run.launch.action_name),
        "action_name": run.launch.action_name,
        "retry_count": 0,
        "user_uid": workspace.user_uid,
        "workspace_uid": workspace.uid,
        "execution_mode": "ASYNC",
        "last_error": label
        and {"label": label, "message": LABELS[label].message, "params": params_of(label)},
        "parameters": run.launch.parameters,
        "callback": target and {"url": target.url},
        "status": run.status,
        "output_count": run.output_count,
        "scheduled_run_uid": None,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
    }


def input_object(run: Run, index: int) -> Json:
    """An input as the API shows it."""
    given, current = run.launch.inputs[index], run.rounds[-1]
    started = current.started_at[index] if index < len(current.started_at) else None
    finished = current.finished_at[index] if index < len(current.finished_at) else None
    return {
        "uid": run.input_uid(index),
        "status": run.input_status(index),
        "input_data": input_data(given),
        "custom_data": given.get("custom_data"),
        "last_error": _last_error(run, index),
        "output_count": run.input_output_count(index),
        "retry_count": 0,
        "started_at": moment(started),
        "finished_at": moment(finished),
        "created_at": run.created_at,
        "updated_at": moment(finished or started) or run.created_at,
    }


def _last_error(run: Run, index: int) -> Json | None:
    """The input's error in its own shape; null before it ran, `has_failed: false` after success."""
    if index >= run.rounds[-1].next_input:
        return None
    label = run.input_error_label(index)
    known = LABELS[label] if label else None
    ref = uid(run.uid, "error", run.rounds[-1].number, index)
    return {
        "has_failed": label is not None,
        "message": known and known.message,
        "scope": known and known.scope,
        "label": label,
        "error_ref": ref if label else None,
        "params": params_of(label) if label else None,
        "validation_errors": [{"field": "input"}] if label == "BAD_INPUT" else None,
    }


def _run(request: Request) -> Run:
    return workspace_of(request).run(request.path_params["run_uid"])


ROUTES = [
    Route("/runs", list_runs),
    Route("/runs/{run_uid}", get_run),
    Route("/runs/{run_uid}/status", get_status),
    Route("/runs/{run_uid}/inputs", list_inputs),
    Route("/runs/{run_uid}/outputs", list_outputs),
    Route("/runs/{run_uid}/cancel", cancel, methods=["POST"]),
    Route("/runs/{run_uid}/resume", resume, methods=["POST"]),
    Route("/runs/{run_uid}/continue", continue_, methods=["POST"]),
]
