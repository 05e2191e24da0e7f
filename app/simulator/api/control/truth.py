"""What is true of a run or a schedule, whatever was delivered and whatever the API says."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.inputs import shown_status
from app.simulator.api.parameters import one_of, workspace_of
from app.simulator.callback import Callback, moment
from app.simulator.outputs import Stretch, stretches
from app.simulator.run import Run

Json = dict[str, Any]

_CHUNK_BYTES: Final = 256 * 1024


async def truth(request: Request) -> Response:
    """GET /_simulator/runs/{run_uid}/truth: how the run stands.

    `?inputs=false` leaves out the inputs, for those who ask often about large runs.
    """
    workspace = workspace_of(request)
    run = _run(request)
    delivery = workspace.delivery(run)
    counts = delivery.counts
    with_inputs = request.query_params.get("inputs") != "false"
    return answer(
        {
            "run_uid": run.uid,
            "status": run.status,
            "inputs": [
                _input(run, index) for index in range(len(run.launch.inputs)) if with_inputs
            ],
            "results_total": run.output_count,
            "results_withheld": run.withheld_count,
            "callbacks_total": sum(callback.original is None for callback in delivery.callbacks),
            "callbacks_sent": counts.sent,
            "callbacks_delivered": counts.delivered,
            "callbacks_dropped": counts.dropped,
            "callbacks_withheld": counts.withheld,
            "callbacks_given_up": counts.given_up,
            "deliveries": counts.attempts,
            "duplicates_sent": counts.duplicates,
            "is_archived": workspace.is_archived(run),
            "settled": delivery.is_settled,
        }
    )


async def truth_results(request: Request) -> Response:
    """GET /_simulator/runs/{run_uid}/truth/results: every result so far, one a line.

    `?which=withheld` or `obtainable` for some of them. `?as=digests` tells of each its place
    and the SHA-256 of its JSON, compact and with sorted keys.
    """
    run = _run(request)
    which = one_of(request, "which", ("withheld", "obtainable"))
    as_digests = one_of(request, "as", ("digests", "results")) == {"digests"}

    def lines() -> Iterator[bytes]:
        for each in stretches(run):
            if ("withheld" if each.is_withheld else "obtainable") not in which:
                continue
            results = run.results(each.round_number, each.input_index, each.first, each.end)
            yield from (_digest(each, result) for result in results) if as_digests else results

    return _lines(lines())


async def truth_callbacks(request: Request) -> Response:
    """GET /_simulator/runs/{run_uid}/truth/callbacks: all of them with their fate, one a line.

    `?fate=` (repeatable) for some of them: `sent`, `dropped`, `lied` (never sent, recorded as
    SUCCESS), `withheld` (never sent, and no replay helps).
    """
    callbacks = workspace_of(request).delivery(_run(request)).callbacks
    fates = one_of(request, "fate", ("sent", "dropped", "lied", "withheld"))
    return _lines(
        orjson.dumps(_callback(each)) for each in callbacks if (each.loss or "sent") in fates
    )


async def truth_schedule(request: Request) -> Response:
    """GET /_simulator/schedules/{uid}/truth: what came of each moment that was due."""
    schedule = workspace_of(request).scheduler.schedule(request.path_params["uid"])
    return answer(
        {
            "uid": schedule.uid,
            "status": schedule.status,
            "iterations": [
                {
                    "due_at": moment(each.due_at_s),
                    "fate": each.fate,
                    "run_uid": each.run and each.run.uid,
                }
                for each in schedule.iterations
            ],
        }
    )


def _input(run: Run, index: int) -> Json:
    return {
        "uid": run.input_uid(index),
        "index": index,
        "status": run.input_status(index),
        "shown_status": shown_status(run, index),
        "error_label": run.input_error_label(index),
        "output_count": run.input_output_count(index),
        "custom_data": run.launch.inputs[index].get("custom_data"),
    }


def _callback(callback: Callback) -> Json:
    run, page = callback.run, callback.page
    return {
        "uid": callback.uid,
        "callback_ref_uid": callback.ref_uid,
        "parent_uid": callback.original and callback.original.uid,
        "batch_uid": run.batch_uid(page),
        "fate": callback.loss or "sent",
        "status": callback.status,
        "attempt_count": callback.attempt_count,
        "round": page.round_number,
        "input_index": None if page.is_final_callback else page.input_index,
        "page": None if page.is_final_callback else page.number,
        "result_count": 0 if page.is_final_callback else run.result_count_of(page),
    }


def _digest(stretch: Stretch, result: bytes) -> bytes:
    canonical = orjson.dumps(orjson.loads(result), option=orjson.OPT_SORT_KEYS)
    return orjson.dumps(
        {
            "digest": hashlib.sha256(canonical).hexdigest(),
            "round": stretch.round_number,
            "input_index": stretch.input_index,
            "page": stretch.page_number,
            "is_withheld": stretch.is_withheld,
        }
    )


def _lines(lines: Iterator[bytes]) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        chunk = bytearray()
        for line in lines:
            chunk += line + b"\n"
            if len(chunk) >= _CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        yield bytes(chunk)

    return StreamingResponse(chunks(), media_type="application/x-ndjson")


def _run(request: Request) -> Run:
    return workspace_of(request).any_run(request.path_params["run_uid"])


async def _healthz(_: Request) -> Response:
    return answer({"status": "ok"})


ROUTES = [
    Route("/healthz", _healthz),
    Route("/runs/{run_uid}/truth", truth),
    Route("/runs/{run_uid}/truth/results", truth_results),
    Route("/runs/{run_uid}/truth/callbacks", truth_callbacks),
    Route("/schedules/{uid}/truth", truth_schedule),
]
