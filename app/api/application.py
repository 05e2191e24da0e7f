"""The API's routes, put together."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from app.api import (
    callbacks,
    documentation,
    health,
    inputs,
    quarantine,
    reconciling,
    results,
    runs,
    schedules,
)
from app.api.auth import ApiKeyMiddleware
from app.api.problems import HANDLERS
from app.api.requests import RequestIdMiddleware
from app.api.resources import Resources

_RUN = "/api/v1/runs/{run_uid}"
_SCHEDULE = "/api/v1/schedules/{scheduled_run_uid}"
_ENTRY = "/api/v1/quarantine/{quarantine_id}"

ROUTES = [
    Route("/healthz", health.healthz),
    Route("/readyz", health.readyz),
    Route("/metrics", health.metrics),
    Route("/openapi.json", documentation.openapi),
    Route("/docs", documentation.docs),
    Route("/docs/{name}", documentation.asset),
    Route("/api/v1/runs", runs.list_runs),
    Route(_RUN, runs.get_run),
    Route(f"{_RUN}/reconcile", reconciling.reconcile, methods=["POST"]),
    Route(f"{_RUN}/resume", reconciling.resume, methods=["POST"]),
    Route(f"{_RUN}/continue", reconciling.continue_, methods=["POST"]),
    Route(f"{_RUN}/cancel", reconciling.cancel, methods=["POST"]),
    Route(f"{_RUN}/results", results.run_results),
    Route(f"{_RUN}/inputs", inputs.run_inputs),
    Route(f"{_RUN}/callbacks", callbacks.run_callbacks),
    Route(f"{_RUN}/callbacks/{{callback_ref_uid:path}}/raw", callbacks.raw_callback),
    Route("/api/v1/results", results.merged_results),
    Route("/api/v1/schedules", schedules.list_schedules),
    Route(_SCHEDULE, schedules.get_schedule),
    Route(f"{_SCHEDULE}/{{action}}", schedules.act_on_schedule, methods=["POST"]),
    Route("/api/v1/quarantine", quarantine.list_quarantined),
    Route(_ENTRY, quarantine.delete_quarantined, methods=["DELETE"]),
    Route(f"{_ENTRY}/raw", quarantine.raw_quarantined),
    Route(f"{_ENTRY}/reprocess", quarantine.reprocess, methods=["POST"]),
]


def create_api(resources: Resources, *, admin_key: str) -> Starlette:
    """The application that answers everything but callbacks."""
    application = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(RequestIdMiddleware),
            Middleware(ApiKeyMiddleware, admin_key=admin_key),
        ],
        exception_handlers=HANDLERS,
    )
    application.state.resources = resources
    return application
