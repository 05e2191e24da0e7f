"""`/api/v1/quarantine`: bodies that were not understood, and another try at them."""

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, not_found
from app.api.resources import resources_of
from app.model import Arrival, timestamp
from app.receive.reading import NotACallbackError, NotJsonError, read_ids
from app.record import Record
from app.store import cursor
from app.store.views import QuarantineView

PARAMETERS = ("newest_first", "limit", "cursor")


def quarantine_record(view: QuarantineView) -> Record:
    """An entry as the API shows it."""
    return {
        "quarantine_id": view.quarantine_id,
        "reason": view.reason,
        "detail": view.detail,
        "content_type": view.content_type,
        "body_bytes": view.body_bytes,
        "times_seen": view.times_seen,
        "received_at": timestamp(view.received_ms),
        "last_received_at": timestamp(view.last_received_ms),
    }


async def list_quarantined(request: Request) -> Response:
    """The entries by when they first came, oldest first unless asked otherwise."""
    parameters = Parameters(request, PARAMETERS)
    limit, newest_first = parameters.limit(), parameters.flag("newest_first")
    kind = "quarantine back" if newest_first else "quarantine"
    given = parameters.text("cursor")
    after = cursor.decode(kind, given, (str,))[0] if given else ""
    views = await resources_of(request).reader.quarantined(
        after=after, limit=limit + 1, newest_first=newest_first
    )
    next_cursor = None
    if len(views) > limit:
        next_cursor = cursor.encode(kind, (views[limit - 1].quarantine_id,))
    return page(request, [quarantine_record(view) for view in views[:limit]], next_cursor)


async def get_quarantined(request: Request) -> Response:
    """One entry."""
    Parameters(request, ())
    view, _ = await _entry(request)
    return answer(quarantine_record(view))


async def raw_quarantined(request: Request) -> Response:
    """A body as it was received."""
    Parameters(request, ())
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    _, body = await _entry(request)
    return Response(body, headers=headers, media_type="application/octet-stream")


async def reprocess(request: Request) -> Response:
    """Read an entry again: if it is a callback now, it goes into the log and leaves quarantine."""
    Parameters(request, ())
    resources = resources_of(request)
    quarantine_id = request.path_params["quarantine_id"]
    view, body = await _entry(request)
    try:
        ids = read_ids(body)
    except (NotJsonError, NotACallbackError) as error:
        raise ProblemError(
            409,
            "Still not a callback",
            f"{error}; it stays in quarantine",
            quarantine_id=quarantine_id,
        ) from None
    outcome = await resources.store_callback(Arrival(ids.run_uid, ids.key, body, view.received_ms))
    await resources.store.release(quarantine_id)  # only now: a crash in between leaves a duplicate
    return answer(
        {
            "status": outcome,
            "callback_ref_uid": ids.callback_ref_uid,
            "run_uid": ids.run_uid,
        }
    )


async def delete_quarantined(request: Request) -> Response:
    """Drop an entry for good."""
    Parameters(request, ())
    quarantine_id = request.path_params["quarantine_id"]
    if not await resources_of(request).store.release(quarantine_id):
        raise not_found(f"entry {quarantine_id} in quarantine")
    return Response(status_code=204)


async def _entry(request: Request) -> tuple[QuarantineView, bytes]:
    quarantine_id = request.path_params["quarantine_id"]
    entry = await resources_of(request).reader.quarantined_entry(quarantine_id)
    if entry is None:
        raise not_found(f"entry {quarantine_id} in quarantine")
    return entry
