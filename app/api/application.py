"""The API's routes, put together."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from app.api import (
    callbacks,
    deliveries,
    demo,
    documentation,
    endpoints,
    erasures,
    events,
    exports,
    health,
    ingest,
    inputs,
    keys,
    quarantine,
    reconciling,
    result_schema,
    results,
    runs,
    schedules,
    sinks,
    summary,
    vitals,
)
from app.api.access import Keyring
from app.api.auth import ApiKeyMiddleware, Endpoint, ScopedRoute
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
_KEY = "/api/v1/keys/{key_id}"
_ENTRY = "/api/v1/quarantine/{quarantine_id}"


def _route(path: str, endpoint: Endpoint, needs: str, method: str = "GET") -> ScopedRoute:
    return ScopedRoute(path, endpoint, needs, [method])


ROUTES = [
    # Open to everyone.
    Route("/healthz", health.healthz),
    Route("/readyz", health.readyz),
    Route("/metrics", health.metrics),
    Route("/openapi.json", documentation.openapi),
    Route("/docs", documentation.docs),
    Route("/docs/{name}", documentation.asset),
    # Open to keys that may `read`, `write` or `admin`; each may what those before it may.
    _route("/api/v1/health", vitals.get_health, "read"),
    _route("/api/v1/ingest", ingest.get_ingest, "read"),
    _route("/api/v1/ingest/token", ingest.show_token, "admin", "POST"),
    _route("/api/v1/demo", demo.get_demo, "read"),
    _route("/api/v1/demo", demo.start_demo, "admin", "POST"),
    _route("/api/v1/runs", runs.list_runs, "read"),
    _route(_RUN, runs.get_run, "read"),
    _route(f"{_RUN}/summary", summary.run_summary, "read"),
    _route(_RUN, erasures.delete_run, "admin", "DELETE"),
    _route("/api/v1/people", erasures.delete_person, "admin", "DELETE"),
    _route("/api/v1/erasures", erasures.list_erasures, "read"),
    _route(_ERASURE, erasures.get_erasure, "read"),
    _route(f"{_ERASURE}/lift", erasures.lift, "admin", "POST"),
    _route(f"{_RUN}/reconcile", reconciling.reconcile, "write", "POST"),
    _route(f"{_RUN}/resume", reconciling.resume, "write", "POST"),
    _route(f"{_RUN}/continue", reconciling.continue_, "write", "POST"),
    _route(f"{_RUN}/cancel", reconciling.cancel, "write", "POST"),
    _route(f"{_RUN}/results", results.run_results, "read"),
    _route(f"{_RUN}/results/schema", result_schema.run_schema, "read"),
    _route(f"{_RUN}/inputs", inputs.run_inputs, "read"),
    _route(f"{_RUN}/callbacks", callbacks.run_callbacks, "read"),
    _route(f"{_RUN}/callbacks/{{callback_ref_uid:path}}/raw", callbacks.raw_callback, "read"),
    _route("/api/v1/results", results.merged_results, "read"),
    _route("/api/v1/results/schema", result_schema.merged_schema, "read"),
    _route("/api/v1/exports", exports.list_exports, "read"),
    _route("/api/v1/exports", exports.create_export, "read", "POST"),
    _route(_EXPORT, exports.get_export, "read"),
    _route(_EXPORT, exports.delete_export, "write", "DELETE"),
    _route(f"{_EXPORT}/file", exports.get_export_file, "read"),
    _route("/api/v1/schedules", schedules.list_schedules, "read"),
    _route(_SCHEDULE, schedules.get_schedule, "read"),
    _route(f"{_SCHEDULE}/{{action}}", schedules.act_on_schedule, "write", "POST"),
    _route("/api/v1/events", events.list_events, "read"),
    _route("/api/v1/events/{event_id}", events.get_event, "read"),
    _route("/api/v1/endpoints", endpoints.list_endpoints, "read"),
    _route("/api/v1/endpoints", endpoints.create_endpoint, "admin", "POST"),
    _route(_ENDPOINT, endpoints.get_endpoint, "read"),
    _route(_ENDPOINT, endpoints.change_endpoint, "admin", "PATCH"),
    _route(_ENDPOINT, endpoints.delete_endpoint, "admin", "DELETE"),
    _route(f"{_ENDPOINT}/test", endpoints.test_endpoint, "admin", "POST"),
    _route(f"{_ENDPOINT}/rotate-secret", endpoints.rotate_secret, "admin", "POST"),
    _route(f"{_ENDPOINT}/deliveries", deliveries.endpoint_deliveries, "read"),
    _route(f"{_ENDPOINT}/redeliver", deliveries.redeliver_many, "admin", "POST"),
    _route("/api/v1/deliveries", deliveries.list_deliveries, "read"),
    _route(_DELIVERY, deliveries.get_delivery, "read"),
    _route(f"{_DELIVERY}/body", deliveries.delivery_body, "read"),
    _route(f"{_DELIVERY}/redeliver", deliveries.redeliver, "admin", "POST"),
    _route("/api/v1/sinks", sinks.list_sinks, "read"),
    _route("/api/v1/sinks", sinks.create_sink, "admin", "POST"),
    _route(_SINK, sinks.get_sink, "read"),
    _route(_SINK, sinks.change_sink, "admin", "PATCH"),
    _route(_SINK, sinks.delete_sink, "admin", "DELETE"),
    _route(f"{_SINK}/test", sinks.test_sink, "admin", "POST"),
    _route(f"{_SINK}/runs", sinks.list_sink_runs, "read"),
    _route(f"{_SINK}/runs/{{run_uid}}/write", sinks.write_run, "admin", "POST"),
    _route("/api/v1/keys", keys.list_keys, "admin"),
    _route("/api/v1/keys", keys.create_key, "admin", "POST"),
    _route(_KEY, keys.get_key, "admin"),
    _route(_KEY, keys.revoke_key, "admin", "DELETE"),
    _route("/api/v1/quarantine", quarantine.list_quarantined, "admin"),
    _route(_ENTRY, quarantine.get_quarantined, "admin"),
    _route(_ENTRY, quarantine.delete_quarantined, "admin", "DELETE"),
    _route(f"{_ENTRY}/raw", quarantine.raw_quarantined, "admin"),
    _route(f"{_ENTRY}/reprocess", quarantine.reprocess, "admin", "POST"),
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
