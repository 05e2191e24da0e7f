"""Launching actions."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import answer
from app.simulator.api.parameters import read_json, workspace_of
from app.simulator.api.schedules import schedule_object
from app.simulator.errors import EdgesError
from app.simulator.launch import read_launch
from app.simulator.plan import read_plan
from app.simulator.scenario import Scenario


async def run_async(request: Request) -> Response:
    """POST /actions/{action}/run/async."""
    workspace = workspace_of(request)
    scenario = _scenario_for(request, workspace.scenario)
    body = read_json(await request.body(), "The body")
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


async def run_schedule(request: Request) -> Response:
    """POST /actions/{action}/run/schedule."""
    workspace = workspace_of(request)
    scenario = _scenario_for(request, workspace.scenario)
    body = read_json(await request.body(), "The body")
    schedule = workspace.scheduler.add(read_plan(request.path_params["action"], body, scenario))
    return answer(
        {
            "run_id": None,
            "run_uid": None,
            "scheduled_run_uid": schedule.uid,
            **schedule_object(schedule, workspace),
        }
    )


def _scenario_for(request: Request, scenario: Scenario) -> Scenario:
    text = request.headers.get("x-simulator-scenario")
    if text is None:
        return scenario
    overrides = read_json(text.encode(), "X-Simulator-Scenario")
    if not isinstance(overrides, dict):
        raise EdgesError("BAD_PARAMETERS", "X-Simulator-Scenario must be a JSON object.")
    try:
        return scenario.for_launch(overrides)
    except ValueError as error:
        raise EdgesError("BAD_PARAMETERS", f"X-Simulator-Scenario: {error}") from error


ROUTES = [
    Route("/actions/{action}/run/async", run_async, methods=["POST"]),
    Route("/actions/{action}/run/schedule", run_schedule, methods=["POST"]),
]
