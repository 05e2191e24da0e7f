"""The inputs of a run, each with how it fares."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import listing
from app.simulator.api.cursor import next_page, page_limit, read_cursor
from app.simulator.api.parameters import run_of, whole_number
from app.simulator.callback import input_data, moment
from app.simulator.chance import happens, uid
from app.simulator.cursors import Cursor
from app.simulator.errors import LABELS, params_of
from app.simulator.run import Run

Json = dict[str, Any]


async def list_inputs(request: Request) -> Response:
    """GET /runs/{run_uid}/inputs."""
    run = run_of(request)
    limit = page_limit(request, run)
    cursor = read_cursor(request, run, 2)
    shift, start = cursor.place if cursor else (0, whole_number(request, "offset", 0, 0, 10**9))
    shift = _shift(run, cursor, shift)
    total = len(run.launch.inputs)
    end = min(start + limit, total)
    rows = [input_object(run, (place + shift) % total) for place in range(start, end)]
    more = next_page(request, run, cursor, (shift, end)) if end < total else None
    return listing(rows, headers=more)


def _shift(run: Run, cursor: Cursor | None, shift_before: int) -> int:
    """By how many inputs the list is turned on this page.

    `shift_before` is that of the page before, if there was one.
    """
    when = run.launch.scenario.inputs_shift
    if when == "never" or (when == "between_walks" and cursor):
        return shift_before
    return 0 if run.is_final else run.next_shift()


def shown_status(run: Run, index: int) -> str | None:
    """The status of an input as the API tells it."""
    scenario = run.launch.scenario
    if happens(scenario.null_status_share, scenario.seed, "null status", index):
        return None
    return run.input_status(index)


def input_object(run: Run, index: int) -> bytes:
    """An input as the API shows it, as JSON."""
    given, current = run.launch.inputs[index], run.rounds[-1]
    started = current.started_at[index] if index < len(current.started_at) else None
    finished = current.finished_at[index] if index < len(current.finished_at) else None
    return orjson.dumps(
        {
            "uid": run.input_uid(index),
            "status": shown_status(run, index),
            "input_data": input_data(given),
            "custom_data": given.get("custom_data"),
            "last_error": _last_error(run, index),
            "output_count": run.input_output_count(index),
            "retry_count": 0,
            "started_at": moment(started),
            "finished_at": moment(finished),
            "created_at": moment(run.created_at),
            "updated_at": moment(finished or started or run.created_at),
        }
    )


def _last_error(run: Run, index: int) -> Json | None:
    """The input's error in its own shape; null before it ran, `has_failed: false` after success."""
    if index >= run.rounds[-1].next_input:
        return None
    label = run.input_error_label(index)
    if label is None:
        return _NO_ERROR
    known = LABELS[label]
    return {
        "has_failed": True,
        "message": known.message,
        "scope": known.scope,
        "label": label,
        "error_ref": uid(run.uid, "error", run.rounds[-1].number, index),
        "params": params_of(label),
        "validation_errors": [{"field": "input"}] if label == "BAD_INPUT" else None,
    }


_NO_ERROR: Json = {
    "has_failed": False,
    "message": None,
    "scope": None,
    "label": None,
    "error_ref": None,
    "params": None,
    "validation_errors": None,
}
ROUTES = [Route("/runs/{run_uid}/inputs", list_inputs)]
