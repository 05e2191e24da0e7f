"""The API's routes, put together."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from app.api import (
    callbacks,
    deliveries,
    documentation,
    endpoints,
    erasures,
    events,
    exports,
    health,
    inputs,
    quarantine,
    reconciling,
    result_schema,
    results,
    runs,
    schedules,
    sinks,
    summary,
)
from app.api.access import Keyring
from app.api.auth import ApiKeyMiddleware
from app.api.problems import HANDLERS
from app.api.requests import RequestIdMiddleware
from app.api.resources import Resources
from app.api.sessions import Sessions
from app.notify.links import LinkSigner

_RUN = "/api/v1/runs/{run_uid}"
_SCHEDULE = "/api/v1/schedules/{scheduled_run_uid}"
_ENDPOINT = "/api/v1/endpoints/{endpoint_id}"
_DELIVERY = "/api/v1/deliveries/{delivery_id}"
_EXPORT = "/api/v1/exports/{export_id}"
_ERASURE = "/api/v1/erasures/{erasure_id}"
_SINK = "/api/v1/sinks/{sink_id}"
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
    Route(f"{_RUN}/summary", summary.run_summary),
    Route(_RUN, erasures.delete_run, methods=["DELETE"]),
    Route("/api/v1/people", erasures.delete_person, methods=["DELETE"]),
    Route("/api/v1/erasures", erasures.list_erasures),
    Route(_ERASURE, erasures.get_erasure),
    Route(f"{_ERASURE}/lift", erasures.lift, methods=["POST"]),
    Route(f"{_RUN}/reconcile", reconciling.reconcile, methods=["POST"]),
    Route(f"{_RUN}/resume", reconciling.resume, methods=["POST"]),
    Route(f"{_RUN}/continue", reconciling.continue_, methods=["POST"]),
    Route(f"{_RUN}/cancel", reconciling.cancel, methods=["POST"]),
    Route(f"{_RUN}/results", results.run_results),
    Route(f"{_RUN}/results/schema", result_schema.run_schema),
    Route(f"{_RUN}/inputs", inputs.run_inputs),
    Route(f"{_RUN}/callbacks", callbacks.run_callbacks),
    Route(f"{_RUN}/callbacks/{{callback_ref_uid:path}}/raw", callbacks.raw_callback),
    Route("/api/v1/results", results.merged_results),
    Route("/api/v1/results/schema", result_schema.merged_schema),
    Route("/api/v1/exports", exports.list_exports),
    Route("/api/v1/exports", exports.create_export, methods=["POST"]),
    Route(_EXPORT, exports.get_export),
    Route(_EXPORT, exports.delete_export, methods=["DELETE"]),
    Route(f"{_EXPORT}/file", exports.get_export_file),
    Route("/api/v1/schedules", schedules.list_schedules),
    Route(_SCHEDULE, schedules.get_schedule),
    Route(f"{_SCHEDULE}/{{action}}", schedules.act_on_schedule, methods=["POST"]),
    Route("/api/v1/events", events.list_events),
    Route("/api/v1/events/{event_id}", events.get_event),
    Route("/api/v1/endpoints", endpoints.list_endpoints),
    Route("/api/v1/endpoints", endpoints.create_endpoint, methods=["POST"]),
    Route(_ENDPOINT, endpoints.get_endpoint),
    Route(_ENDPOINT, endpoints.change_endpoint, methods=["PATCH"]),
    Route(_ENDPOINT, endpoints.delete_endpoint, methods=["DELETE"]),
    Route(f"{_ENDPOINT}/test", endpoints.test_endpoint, methods=["POST"]),
    Route(f"{_ENDPOINT}/rotate-secret", endpoints.rotate_secret, methods=["POST"]),
    Route(f"{_ENDPOINT}/deliveries", deliveries.endpoint_deliveries),
    Route(f"{_ENDPOINT}/redeliver", deliveries.redeliver_many, methods=["POST"]),
    Route("/api/v1/deliveries", deliveries.list_deliveries),
    Route(_DELIVERY, deliveries.get_delivery),
    Route(f"{_DELIVERY}/body", deliveries.delivery_body),
    Route(f"{_DELIVERY}/redeliver", deliveries.redeliver, methods=["POST"]),
    Route("/api/v1/sinks", sinks.list_sinks),
    Route("/api/v1/sinks", sinks.create_sink, methods=["POST"]),
    Route(_SINK, sinks.get_sink),
    Route(_SINK, sinks.change_sink, methods=["PATCH"]),
    Route(_SINK, sinks.delete_sink, methods=["DELETE"]),
    Route(f"{_SINK}/test", sinks.test_sink, methods=["POST"]),
    Route(f"{_SINK}/runs", sinks.list_sink_runs),
    Route(f"{_SINK}/runs/{{run_uid}}/write", sinks.write_run, methods=["POST"]),
    Route("/api/v1/quarantine", quarantine.list_quarantined),
    Route(_ENTRY, quarantine.get_quarantined),
    Route(_ENTRY, quarantine.delete_quarantined, methods=["DELETE"]),
    Route(f"{_ENTRY}/raw", quarantine.raw_quarantined),
    Route(f"{_ENTRY}/reprocess", quarantine.reprocess, methods=["POST"]),
]


def create_api(
    resources: Resources, *, keyring: Keyring, links: LinkSigner, sessions: Sessions
) -> Starlette:
    """The application that answers everything but callbacks."""
    application = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(RequestIdMiddleware),
            Middleware(ApiKeyMiddleware, keyring=keyring, links=links, sessions=sessions),
        ],
        exception_handlers=HANDLERS,
    )
    application.state.resources = resources
    return application
