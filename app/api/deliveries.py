"""`…/deliveries`: what was sent to endpoints, what came of it, and sending it again."""

from time import time_ns

from starlette.requests import Request
from starlette.responses import Response

from app.api.endpoints import BODY_BYTES_MAX, endpoint_by_id, endpoint_of
from app.api.json_body import json_object
from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, not_found
from app.api.resources import resources_of
from app.model import read_time_ms, timestamp
from app.notify.composing import PrunedError
from app.record import Record, time_of
from app.store import cursor
from app.store.outbox_rows import AttemptRow, DeliveryRow, DueDelivery

ENDPOINT_PARAMETERS = ("state", "run_uid", "event_id", "limit", "cursor")
LIST_PARAMETERS = ("endpoint_id", *ENDPOINT_PARAMETERS)
STATES = ("pending", "delivered", "failed")


async def endpoint_deliveries(request: Request) -> Response:
    """Deliveries to one endpoint, newest first; `state=failed` lists the dead letters."""
    parameters = Parameters(request, ENDPOINT_PARAMETERS)
    row = await endpoint_of(request)
    return await _list(request, parameters, row.endpoint_id)


async def list_deliveries(request: Request) -> Response:
    """Deliveries to all endpoints, newest first."""
    parameters = Parameters(request, LIST_PARAMETERS)
    return await _list(request, parameters, parameters.text("endpoint_id"))


async def _list(request: Request, parameters: Parameters, endpoint_id: str | None) -> Response:
    given = parameters.text("cursor")
    before = cursor.decode("deliveries", given, (str,))[0] if given else None
    limit = parameters.limit()
    reader, event_id, event_no = resources_of(request).reader, parameters.text("event_id"), None
    if event_id is not None:
        event_no = await reader.event_no(event_id)
        if event_no is None:
            raise not_found(f"event {event_id} here, or not any more")
    found = await reader.deliveries(
        endpoint_id=endpoint_id,
        run_uid=parameters.text("run_uid"),
        event_no=event_no,
        state=parameters.choice("state", STATES),
        before_id=before,
        limit=limit + 1,
    )
    next_cursor = None
    if len(found) > limit:
        next_cursor = cursor.encode("deliveries", (found[limit - 1].delivery_id,))
    return page(request, [_record(row) for row in found[:limit]], next_cursor)


async def get_delivery(request: Request) -> Response:
    """One delivery, with every try."""
    Parameters(request, ())
    row = await _delivery_of(request)
    attempts = await resources_of(request).reader.attempts(row.run_uid, row.delivery_id)
    return answer(_record(row) | {"attempts": [_attempt(one) for one in attempts]})


async def delivery_body(request: Request) -> Response:
    """The body as the next try would send it: links in it are made anew for each."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await _delivery_of(request)
    endpoint = await endpoint_by_id(resources, row.endpoint_id)
    events = []
    if row.event_no:
        events = await resources.reader.events(after_no=row.event_no - 1, limit=1)
    event = events[0].event if events and events[0].event.event_id == row.event_id else None
    due = DueDelivery(
        row.delivery_id,
        row.run_uid,
        row.event_id,
        row.event_no,
        row.type,
        row.tries,
        row.attempts,
        row.created_ms,
        event,
    )
    try:
        composed = await resources.compose(endpoint, due)
    except PrunedError as error:
        raise ProblemError(404, "Not kept any more", str(error)) from None
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    return Response(composed.body, headers=headers, media_type=composed.content_type)


async def redeliver(request: Request) -> Response:
    """Have one delivered again, whatever came of it before."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await _delivery_of(request)
    await resources.store.outbox.redeliver(row.delivery_id, time_ns() // 1_000_000)
    resources.wake_deliveries()
    return answer(_record(await _delivery_of(request)), 202)


async def redeliver_many(request: Request) -> Response:
    """Have all that failed since a time delivered again, or all events of a run."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await endpoint_of(request)
    body = await json_object(request, BODY_BYTES_MAX) or {}
    now_ms = time_ns() // 1_000_000
    outbox = resources.store.outbox
    if set(body) == {"failed_since"}:
        since_ms = read_time_ms(body["failed_since"])
        if since_ms is None:
            raise ProblemError(
                400,
                "Bad body",
                "failed_since: must be a time like 2026-11-24T09:30:00Z",
                pointer="#/failed_since",
            )
        count = await outbox.redeliver_failed(row.endpoint_id, since_ms, now_ms)
    elif set(body) == {"run_uid"} and isinstance(body["run_uid"], str):
        run_uid = body["run_uid"].replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL has none
        count = await outbox.redeliver_run(row, run_uid, resources.addressed, now_ms)
    else:
        raise ProblemError(
            400, "Bad body", 'give {"failed_since": "2026-11-24T09:30:00Z"} or {"run_uid": "…"}'
        )
    resources.wake_deliveries()
    return answer({"deliveries": count}, 202)


async def _delivery_of(request: Request) -> DeliveryRow:
    delivery_id = request.path_params["delivery_id"]
    row = await resources_of(request).reader.delivery(delivery_id)
    if row is None:
        raise not_found(f"delivery {delivery_id}, or not any more")
    return row


def _record(row: DeliveryRow) -> Record:
    return {
        "id": row.delivery_id,
        "endpoint_id": row.endpoint_id,
        "event_id": row.event_id,
        "type": row.type,
        "run_uid": row.run_uid or None,
        "state": row.state,
        "next_try_at": timestamp(row.due_ms) if row.state == "pending" else None,
        "tries": row.attempts,
        "last_status": row.last_status,
        "last_problem": row.last_problem,
        "created_at": timestamp(row.created_ms),
        "finished_at": time_of(row.finished_ms),
    }


def _attempt(row: AttemptRow) -> Record:
    return {
        "number": row.attempt_no,
        "at": timestamp(row.at_ms),
        "took_ms": row.took_ms,
        "status": row.status,
        "problem": row.problem,
        "answer": row.answer,
    }
