"""The quarantine: what came and was not understood, and another try at it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import Api, RefusedError, api_of
from app.dashboard.bodies import readable
from app.dashboard.pages import pages_of, redirected, render, signed_in
from app.dashboard.words import path_part

ENTRIES_A_PAGE = 50
REASONS = {
    "not_json": "It is no JSON, or not in UTF-8.",
    "not_a_callback": "It is JSON, but not shaped like a callback of Edges.",
}


@signed_in
async def quarantine_list(request: Request) -> Response:
    """The entries, newest first; only the table where htmx asks for it."""
    cursor = request.query_params.get("cursor", "")
    query = {"cursor": cursor, "newest_first": "true", "limit": str(ENTRIES_A_PAGE)}
    page = await api_of(request).get("quarantine", query)
    context: dict[str, Any] = {
        "entries": [_described(one) for one in page["data"]],
        "is_first_page": not cursor,
        **pages_of("/quarantine", {}, page["next_cursor"]),
    }
    is_part = request.headers.get("hx-target") == "quarantine"
    return render(request, "quarantine_table.html" if is_part else "quarantine.html", **context)


@signed_in
async def quarantined_page(request: Request) -> Response:
    """One entry, with its body."""
    return await _entry_page(request, api_of(request))


@signed_in
async def reprocess(request: Request) -> Response:
    """Read an entry again, and say what became of it."""
    api, quarantine_id = api_of(request), request.path_params["quarantine_id"]
    try:
        became = await api.post(f"quarantine/{quarantine_id}/reprocess")
    except RefusedError as error:
        if error.status != 409:
            raise
        return await _entry_page(request, api, problem=error.detail, status=409)
    return render(request, "reprocessed.html", became=became)


@signed_in
async def delete_quarantined(request: Request) -> Response:
    """Drop an entry for good."""
    quarantine_id = request.path_params["quarantine_id"]
    await api_of(request).ask("DELETE", f"quarantine/{quarantine_id}")
    return redirected(request, "/quarantine")


async def _entry_page(
    request: Request, api: Api, *, problem: str = "", status: int = 200
) -> Response:
    path = f"quarantine/{request.path_params['quarantine_id']}"
    entry = _described(await api.get(path))
    raw = await api.ask("GET", f"{path}/raw")
    return render(
        request,
        "quarantined.html",
        status,
        entry=entry,
        body=readable(raw.body),
        whole=f"/api/v1/{path}/raw",
        problem=problem,
    )


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the API, with its reason in words."""
    return {
        **entry,
        "path": f"/quarantine/{path_part(entry['quarantine_id'])}",
        "words": REASONS.get(entry["reason"], entry["reason"]),
    }
