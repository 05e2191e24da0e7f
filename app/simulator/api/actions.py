"""Launching actions."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.parameters import workspace_of
from app.simulator.errors import EdgesError
from app.simulator.launch import read_launch
from app.simulator.scenario import Scenario


async def run_async(request: Request) -> Response:
    """POST /actions/{action}/run/async."""
    workspace = workspace_of(request)
    scenario = _scenario_for(request, workspace.scenario)
    body = _parse(await request.body(), "The body")
    run = workspace.launch(read_launch(request.path_params["action"], body, scenario))
    return answer(
        {
            "run_id": run.number,
            "run_uid": run.uid,
            "workspace_uid": workspace.uid,
            "user_uid": workspace.user_uid,
            "action_name": run.launch.action_name,
            "status": run.status,
            "postponed_until": None,
            "created_at": run.created_at,
            "updated_at": run.updated_at,
        }
    )


def _scenario_for(request: Request, scenario: Scenario) -> Scenario:
    text = request.headers.get("x-simulator-scenario")
    if text is None:
        return scenario
    overrides = _parse(text.encode(), "X-Simulator-Scenario")
    if not isinstance(overrides, dict):
        raise EdgesError("BAD_PARAMETERS", "X-Simulator-Scenario must be a JSON object.")
    try:
        return scenario.for_launch(overrides)
    except ValueError as error:
        raise EdgesError("BAD_PARAMETERS", f"X-Simulator-Scenario: {error}") from error


def _parse(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise EdgesError("BAD_INPUT", f"{what} is not JSON: {error}") from error


ROUTES = [Route("/actions/{action}/run/async", run_async, methods=["POST"])]
