"""Erasing runs and people, and `/api/v1/erasures`: what was erased, by whom, and how far it is."""

import re
from time import time_ns

from starlette.requests import Request
from starlette.responses import Response

from app.api.auth import requester
from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, bad_parameter, not_found
from app.api.resources import resources_of, run_of
from app.erase.asking import new_erasure
from app.erasing import FIELD
from app.model import timestamp
from app.record import Record, time_of
from app.store import cursor
from app.store.erasures import EXPIRY, PERSON, RUN, ErasureRow, LostKeyError

LIST_PARAMETERS = ("limit", "cursor")
PERSON_PARAMETERS = ("field", "value")

_UUID = re.compile(r"[0-9a-f-]{36}")


def erasure_record(row: ErasureRow) -> Record:
    """An erasure as the API shows it."""
    progress, counts = row.at, row.counted
    after = progress.after[0] if progress.after else 0
    return {
        "erasure_id": row.erasure_id,
        "kind": row.kind,
        "status": "pending" if row.finished_ms is None else "done",
        "run_uid": row.run_uid,
        "field": row.field,
        "value_digest": row.value_digest,
        "requested_by": row.requested_by,
        "requested_at": timestamp(row.requested_ms),
        "finished_at": time_of(row.finished_ms),
        "is_kept_out": row.kind != EXPIRY and row.lifted_ms is None,
        "lifted_by": row.lifted_by,
        "lifted_at": time_of(row.lifted_ms),
        "progress": {
            "step": progress.step,
            "done": after if isinstance(after, int) else None,
            "of": progress.before or None,
        },
        "counts": {name: getattr(counts, name) for name in counts.__struct_fields__},
    }


async def delete_run(request: Request) -> Response:
    """Erase everything of a run, and keep it out."""
    Parameters(request, ())
    run = await run_of(request)
    return await _asked(request, RUN, run_uid=run.run_uid)


async def delete_person(request: Request) -> Response:
    """Erase a person from every run, and keep them out."""
    parameters = Parameters(request, PERSON_PARAMETERS)
    field, value = parameters.text("field"), parameters.text("value")
    if field is None or not FIELD.fullmatch(field):
        raise bad_parameter(
            "field",
            "must name a field of results or inputs, such as linkedin_profile_id: up to 100"
            " letters, digits and _ $ . : @ -",
        )
    if value is None:
        raise bad_parameter("value", "is needed: what stands in this field of the person's results")
    return await _asked(request, PERSON, field=field, value=value)


async def _asked(
    request: Request,
    kind: str,
    *,
    run_uid: str | None = None,
    field: str | None = None,
    value: str = "",
) -> Response:
    resources = resources_of(request)
    try:
        row = await new_erasure(
            resources.store,
            kind,
            by=requester(request),
            run_uid=run_uid,
            field=field,
            value=value,
        )
    except LostKeyError as error:
        raise ProblemError(409, "The key of erasures cannot be read", str(error)) from None
    resources.wake_erasing()
    headers = {"Location": f"/api/v1/erasures/{row.erasure_id}"}
    return answer(erasure_record(row), 202, headers)


async def list_erasures(request: Request) -> Response:
    """Erasures, newest first."""
    parameters = Parameters(request, LIST_PARAMETERS)
    limit = parameters.limit()
    given = parameters.text("cursor")
    before = cursor.decode("erasures", given, (str,))[0] if given else None
    rows = await resources_of(request).store.erasures.rows(before=before, limit=limit + 1)
    next_cursor = None
    if len(rows) > limit:
        next_cursor = cursor.encode("erasures", (rows[limit - 1].erasure_id,))
    return page(request, [erasure_record(row) for row in rows[:limit]], next_cursor)


async def get_erasure(request: Request) -> Response:
    """One erasure, and how far it is."""
    Parameters(request, ())
    return answer(erasure_record(await _row(request)))


async def lift(request: Request) -> Response:
    """Let in again what an erasure keeps out. What was erased is not brought back."""
    Parameters(request, ())
    row = await _row(request)
    resources = resources_of(request)
    now_ms = time_ns() // 1_000_000
    if not await resources.store.erasures.lift(row.erasure_id, requester(request), now_ms):
        raise ProblemError(
            409,
            "Nothing to lift",
            "this erasure keeps nothing out: it was lifted before, or a run has only expired",
        )
    return answer(erasure_record(await _row(request)))


async def _row(request: Request) -> ErasureRow:
    erasure_id = request.path_params["erasure_id"]
    found = None
    if _UUID.fullmatch(erasure_id):
        found = await resources_of(request).store.erasures.row(erasure_id)
    if found is None:
        raise not_found(f"erasure {erasure_id}")
    return found
