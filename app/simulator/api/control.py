"""The control plane, which Edges does not have: what is true, for tests and the demo."""

from collections.abc import AsyncIterator
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.parameters import workspace_of
from app.simulator.run import Position

_CHUNK_BYTES: Final = 256 * 1024


async def healthz(_: Request) -> Response:
    """GET /_simulator/healthz."""
    return answer({"status": "ok"})


async def truth(request: Request) -> Response:
    """GET /_simulator/runs/{run_uid}/truth: how the run stands, whatever was delivered.

    `?inputs=false` leaves out the inputs, for those who ask often about large runs.
    """
    workspace = workspace_of(request)
    run = workspace.run(request.path_params["run_uid"])
    delivery = workspace.delivery(run)
    counts = delivery.counts
    with_inputs = request.query_params.get("inputs") != "false"
    return answer(
        {
            "run_uid": run.uid,
            "status": run.status,
            "inputs": [
                {
                    "uid": run.input_uid(index),
                    "index": index,
                    "status": run.input_status(index),
                    "error_label": run.input_error_label(index),
                    "output_count": run.input_output_count(index),
                    "custom_data": given.get("custom_data"),
                }
                for index, given in enumerate(run.launch.inputs)
                if with_inputs
            ],
            "results_total": run.output_count,
            "callbacks_total": sum(callback.original is None for callback in delivery.callbacks),
            "callbacks_sent": counts.sent,
            "callbacks_delivered": counts.delivered,
            "callbacks_dropped": counts.dropped,
            "callbacks_given_up": counts.given_up,
            "deliveries": counts.attempts,
            "duplicates_sent": counts.duplicates,
            "settled": delivery.is_settled,
        }
    )


async def truth_results(request: Request) -> Response:
    """GET /_simulator/runs/{run_uid}/truth/results: every result so far, one a line."""
    run = workspace_of(request).run(request.path_params["run_uid"])

    async def lines() -> AsyncIterator[bytes]:
        chunk = bytearray()
        for result, _ in run.outputs_from(Position()):
            chunk += orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE)
            if len(chunk) >= _CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        yield bytes(chunk)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


ROUTES = [
    Route("/healthz", healthz),
    Route("/runs/{run_uid}/truth", truth),
    Route("/runs/{run_uid}/truth/results", truth_results),
]
