"""`…/callbacks`: the log of a run, and each body exactly as received."""

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import page
from app.api.parameters import Parameters
from app.api.problems import not_found
from app.api.resources import resources_of, run_of
from app.model import timestamp
from app.record import Record, callback_ref
from app.store import cursor
from app.store.views import CallbackView

PARAMETERS = ("newest_first", "limit", "cursor")


def callback_record(view: CallbackView) -> Record:
    """A callback as the API shows it."""
    counts = "counted"
    if view.lost_to is not None:
        counts = "replay" if view.is_winner else "conflict"
    elif not view.is_winner:
        counts = "conflict"
    return {
        "seq": view.seq,
        "callback_ref_uid": callback_ref(view.callback_key),
        "callback_key": view.callback_key,
        "batch_uid": view.batch_uid,
        "status": view.status,
        "results": view.results,
        "role": counts,
        "conflicts_with": view.conflicts_with,
        "received_at": timestamp(view.received_ms),
        "body_bytes": view.body_bytes,
        "note": view.note,
    }


async def run_callbacks(request: Request) -> Response:
    """The callbacks of a run in order of arrival, or the other way round."""
    parameters = Parameters(request, PARAMETERS)
    run = await run_of(request)
    limit, newest_first = parameters.limit(), parameters.flag("newest_first")
    kind = "callbacks back" if newest_first else "callbacks"
    given = parameters.text("cursor")
    after = cursor.decode(kind, given, (int,))[0] if given else None
    reader = resources_of(request).reader
    views = await reader.callbacks(
        run.run_uid, after_seq=after, limit=limit + 1, newest_first=newest_first
    )
    next_cursor = None
    if len(views) > limit:
        next_cursor = cursor.encode(kind, (views[limit - 1].seq,))
    return page(request, [callback_record(view) for view in views[:limit]], next_cursor)


async def raw_callback(request: Request) -> Response:
    """A body as it was received; `?seq=` picks one of several under the same id."""
    parameters = Parameters(request, ("seq",))
    run_uid, key = request.path_params["run_uid"], request.path_params["callback_ref_uid"]
    seqs = await resources_of(request).store.seqs(run_uid, key)
    wanted = parameters.number("seq")
    if wanted is not None:
        seqs = [seq for seq in seqs if seq == wanted]
    if not seqs:
        raise not_found(f"callback {key} of run {run_uid}")
    body = await resources_of(request).reader.raw(run_uid, seqs[0])
    # Never shown as a page: it is whatever the sender sent.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    return Response(body, headers=headers, media_type="application/json")
