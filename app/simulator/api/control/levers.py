"""Levers: what a test does to the simulated Edges while it runs, and how it was asked."""

from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.ledger import Ledger
from app.simulator.api.parameters import read_json, workspace_of
from app.simulator.errors import EdgesError
from app.simulator.run import Run

Json = dict[str, Any]


async def get_scenario(request: Request) -> Response:
    """GET /_simulator/scenario: all knobs as they stand."""
    return answer(asdict(workspace_of(request).scenario))


async def change_scenario(request: Request) -> Response:
    """PATCH /_simulator/scenario: change knobs from now on.

    API-wide ones work at once; the others, for runs that are launched from now on.
    """
    workspace = workspace_of(request)
    try:
        workspace.scenario = workspace.scenario.for_api(await _body(request))
    except ValueError as error:
        raise EdgesError("BAD_PARAMETERS", str(error)) from error
    return await get_scenario(request)


async def get_clock(request: Request) -> Response:
    """GET /_simulator/clock: what it shows, and how fast it goes."""
    clock = workspace_of(request).clock
    return answer({"now": clock.now(), "rate": clock.rate})


async def change_clock(request: Request) -> Response:
    """POST /_simulator/clock: `advance_s` moves it on, `rate` has it go faster or slower.

    On its way it launches what schedules have due. With `settle_s` it waits after each such
    moment, so many real seconds at most, until what was launched has ended and is delivered.
    """
    workspace, body = workspace_of(request), await _body(request)
    clock, settle_s = workspace.clock, _number(body, "settle_s") or 0.0
    if (rate := _number(body, "rate")) is not None:
        clock.set_rate(rate)
    if (advance_s := _number(body, "advance_s")) is not None:
        await workspace.scheduler.advance(advance_s, settle_s=settle_s)
    return await get_clock(request)


async def archive(request: Request) -> Response:
    """POST /_simulator/runs/{run_uid}/archive: the API answers 404 for it from now on."""
    workspace_of(request).archive(_run(request))
    return answer({"is_archived": True})


async def continue_(request: Request) -> Response:
    """POST /_simulator/runs/{run_uid}/continue: more results, as a continue brings them.

    For runs of any kind that have ended. With `silently` they are there at once, without
    callbacks.
    """
    run, silently = _run(request), (await _body(request)).get("silently", False)
    workspace_of(request).add_results(run, silently=bool(silently))
    return answer({"status": run.status, "results_total": run.output_count})


async def expire_cursors(request: Request) -> Response:
    """POST /_simulator/runs/{run_uid}/expire-cursors: those made so far are refused."""
    workspace_of(request).cursors(_run(request)).expire()
    return answer({"expired": True})


async def count_requests(request: Request) -> Response:
    """GET /_simulator/requests: how often the API was asked, by route and by status."""
    return answer(_ledger(request).counts())


async def forget_requests(request: Request) -> Response:
    """DELETE /_simulator/requests: count anew."""
    _ledger(request).clear()
    return answer(_ledger(request).counts())


async def last_requests(request: Request) -> Response:
    """GET /_simulator/requests/log: the last ten thousand, oldest first, one a line."""
    lines = [orjson.dumps(each) + b"\n" for each in _ledger(request).last()]
    return StreamingResponse(iter(lines), media_type="application/x-ndjson")


def _run(request: Request) -> Run:
    return workspace_of(request).any_run(request.path_params["run_uid"])


def _ledger(request: Request) -> Ledger:
    ledger: Ledger = request.app.state.ledger
    return ledger


async def _body(request: Request) -> Json:
    text = await request.body()
    body = read_json(text, "The body") if text else {}
    if not isinstance(body, dict):
        raise EdgesError("BAD_INPUT", "The body must be a JSON object.")
    return body


def _number(body: Json, name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise EdgesError("BAD_PARAMETERS", f"{name} must be a number from 0.", parameter=name)
    return float(value)


ROUTES = [
    Route("/scenario", get_scenario),
    Route("/scenario", change_scenario, methods=["PATCH"]),
    Route("/clock", get_clock),
    Route("/clock", change_clock, methods=["POST"]),
    Route("/runs/{run_uid}/archive", archive, methods=["POST"]),
    Route("/runs/{run_uid}/continue", continue_, methods=["POST"]),
    Route("/runs/{run_uid}/expire-cursors", expire_cursors, methods=["POST"]),
    Route("/requests", count_requests),
    Route("/requests", forget_requests, methods=["DELETE"]),
    Route("/requests/log", last_requests),
]
