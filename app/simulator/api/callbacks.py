"""The records of callbacks, and their replay."""

from collections.abc import Callable, Iterable
from heapq import merge
from itertools import islice
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.parameters import in_order, one_of, page_of, workspace_of
from app.simulator.callback import Callback

CALLBACK_STATUSES: Final = ("PENDING", "RUNNING", "FAILED", "SUCCESS")
_SORTS: Final[dict[str, Callable[[Callback], str | int | float]]] = {
    "created_at": lambda callback: callback.created_at.timestamp(),
    "status": lambda callback: callback.status,
    "retry_count": lambda callback: callback.retry_count,
    "http_status": lambda callback: callback.http_status or 0,
}


async def list_callbacks(request: Request) -> Response:
    """GET /runs/callbacks: records without payloads, oldest first unless sorted."""
    wanted = page_of(request, limit_max=workspace_of(request).scenario.callbacks_limit_max)
    statuses = one_of(request, "status", CALLBACK_STATUSES)
    found: Iterable[Callback] = _of_runs(request)
    if len(statuses) < len(CALLBACK_STATUSES):
        found = (each for each in found if each.status in statuses)
    page = islice(in_order(request, found, _SORTS), wanted.start, wanted.stop)
    workspace = workspace_of(request)
    return answer([callback.record(workspace.uid) for callback in page])


async def get_callback(request: Request) -> Response:
    """GET /runs/callbacks/{callback_uid}."""
    workspace = workspace_of(request)
    callback = workspace.callback(request.path_params["callback_uid"])
    return answer(callback.record(workspace.uid))


async def replay(request: Request) -> Response:
    """POST /runs/callbacks/{callback_uid}/replay."""
    workspace = workspace_of(request)
    original = workspace.callback(request.path_params["callback_uid"])
    return answer(workspace.replay(original).record(workspace.uid))


def _of_runs(request: Request) -> Iterable[Callback]:
    """The callbacks of the runs asked for, of all if none is; oldest first."""
    workspace = workspace_of(request)
    wanted = dict.fromkeys(request.query_params.getlist("run_uid"))
    if not wanted:
        return workspace.listed_callbacks()
    runs = [run for run in workspace.listed_runs() if run.uid in wanted]
    lists = [workspace.delivery(run).callbacks for run in runs]
    return lists[0] if len(lists) == 1 else merge(*lists, key=lambda each: each.created_at)


ROUTES = [
    Route("/runs/callbacks", list_callbacks),
    Route("/runs/callbacks/{callback_uid}", get_callback),
    Route("/runs/callbacks/{callback_uid}/replay", replay, methods=["POST"]),
]
