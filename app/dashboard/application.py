"""The dashboard's routes, in front of the API."""

from collections.abc import Callable

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from app.api.access import Keyring
from app.api.sessions import Sessions
from app.dashboard import (
    deliveries,
    endpoint_changes,
    endpoints,
    events,
    first_steps,
    health,
    keys,
    quarantine,
    run,
    run_acts,
    run_parts,
    runs,
    schedules,
    sign_in,
)
from app.dashboard.pages import problem_page
from app.dashboard.shared import SharedAnswers
from app.dashboard.static import static

log = structlog.get_logger("dashboard")

_RUN = "/runs/{run_uid}"
_ENDPOINT = "/endpoints/{endpoint_id}"
_DELIVERY = "/deliveries/{delivery_id}"
_ENTRY = "/quarantine/{quarantine_id}"

ROUTES = [
    Route("/", runs.run_list),
    Route(_RUN, run.run_page),
    Route(f"{_RUN}/inputs", run.run_inputs),
    Route(f"{_RUN}/callbacks", run.run_callbacks),
    Route(f"{_RUN}/events", run.run_events),
    Route(f"{_RUN}/completeness", run_parts.completeness),
    Route(f"{_RUN}/figures", run_parts.figures),
    Route(f"{_RUN}/preview", run_parts.preview),
    Route(f"{_RUN}/preview/rows", run_parts.preview_rows),
    Route(f"{_RUN}/callbacks/body", run_parts.callback_body),
    Route(f"{_RUN}/exports/{{export_id}}", run_parts.export_progress),
    Route(f"{_RUN}/erasures/{{erasure_id}}", run_parts.erasure_progress),
    Route(f"{_RUN}/arrived", run_parts.arrived),
    Route(f"{_RUN}/download", run_acts.download),
    Route(f"{_RUN}/export", run_acts.export, methods=["POST"]),
    Route(f"{_RUN}/delete", run_acts.delete, methods=["POST"]),
    *[Route(f"{_RUN}/{name}", run_acts.act, methods=["POST"], name=name) for name in run_acts.ACTS],
    Route("/endpoints", endpoints.endpoint_list),
    Route("/endpoints/new", endpoint_changes.new_endpoint),
    Route("/endpoints/new", endpoint_changes.create_endpoint, methods=["POST"]),
    Route(_ENDPOINT, endpoints.endpoint_page),
    Route(f"{_ENDPOINT}/edit", endpoint_changes.edit_endpoint),
    Route(f"{_ENDPOINT}/edit", endpoint_changes.change_endpoint, methods=["POST"]),
    Route(f"{_ENDPOINT}/state", endpoint_changes.set_state, methods=["POST"]),
    Route(f"{_ENDPOINT}/rotate-secret", endpoint_changes.rotate_secret, methods=["POST"]),
    Route(f"{_ENDPOINT}/delete", endpoint_changes.delete_endpoint, methods=["POST"]),
    Route(f"{_ENDPOINT}/test", deliveries.test_endpoint, methods=["POST"]),
    Route(f"{_ENDPOINT}/redeliver", deliveries.redeliver_failed, methods=["POST"]),
    Route(_DELIVERY, deliveries.delivery_page),
    Route(f"{_DELIVERY}/body", deliveries.delivery_body),
    Route(f"{_DELIVERY}/tested", deliveries.tested),
    Route(f"{_DELIVERY}/redeliver", deliveries.redeliver, methods=["POST"]),
    Route("/events", events.event_list),
    Route("/events/{event_id}", events.event_page),
    Route("/quarantine", quarantine.quarantine_list),
    Route(_ENTRY, quarantine.quarantined_page),
    Route(f"{_ENTRY}/reprocess", quarantine.reprocess, methods=["POST"]),
    Route(f"{_ENTRY}/delete", quarantine.delete_quarantined, methods=["POST"]),
    Route("/keys", keys.key_list),
    Route("/keys", keys.create_key, methods=["POST"]),
    Route("/keys/{key_id}/revoke", keys.revoke_key, methods=["POST"]),
    Route("/first-steps", first_steps.first_steps),
    Route("/first-steps/arrived", first_steps.arrived),
    Route("/first-steps/demo", first_steps.start_demo, methods=["POST"]),
    Route("/first-steps/token", first_steps.show_token, methods=["POST"]),
    Route("/health", health.health),
    Route("/health/live", health.health_live),
    Route("/schedules", schedules.schedule_list),
    Route("/schedules/{scheduled_run_uid}", schedules.schedule),
    Route("/schedules/{scheduled_run_uid}/days", schedules.schedule_days),
    Route("/schedules/{scheduled_run_uid}/{action}", schedules.act, methods=["POST"]),
    Route("/sign-in", sign_in.sign_in_page),
    Route("/sign-in", sign_in.sign_in, methods=["POST"]),
    Route("/sign-out", sign_in.sign_out, methods=["POST"]),
    Route("/static/{name}", static),
]


def create_dashboard(
    api: ASGIApp, *, keyring: Keyring, sessions: Sessions, watchers: Callable[[], int]
) -> Starlette:
    """The application that answers with pages, and leaves everything else to `api`.

    `watchers` says how many follow events live, which is about how many pages are open.
    """
    application = Starlette(
        routes=[*ROUTES, Mount("/", api)],
        exception_handlers={HTTPException: on_http_exception, Exception: on_failure},
    )
    application.state.api = api
    application.state.keyring = keyring
    application.state.sessions = sessions
    application.state.watchers = watchers
    application.state.shared = SharedAnswers()
    return application


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework refused: a method that a page does not take."""
    if not isinstance(error, HTTPException):
        raise error
    return problem_page(request, error.status_code, error.detail, "Go back to the list of runs.")


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw: logged here, told to nobody."""
    log.error("page failed", method=request.method, path=request.url.path, exc_info=error)
    return problem_page(
        request, 500, "The page failed", "The collector's log has the reason. Callbacks are safe."
    )
