"""API keys: who may do what, made with a form, shown once, and revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.api.access import ADMIN_KEY_ID
from app.dashboard.asking import Api, RefusedError, api_of
from app.dashboard.pages import form_of, pages_of, redirected, render, signed_in
from app.model import timestamp

KEYS_A_PAGE = 50
SCOPES = {
    "read": "Looks on: runs, results, files, events, endpoints without their secrets.",
    "write": "And acts on runs: compare, resume, continue, cancel; schedules.",
    "admin": "And all else: endpoints, the quarantine, erasure, keys.",
}
LIVES = {"": "Never", "7": "In a week", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
"""Days until a key expires."""


@signed_in
async def key_list(request: Request) -> Response:
    """All keys, those of no use any more among them, and the form for another."""
    return await _page(request, api_of(request))


@signed_in
async def create_key(request: Request) -> Response:
    """Make a key, and show it; or the form again, with what is wrong."""
    api, form = api_of(request), await form_of(request)
    name, scope = form.get("name", "").strip(), form.get("scope", "")
    lives = form.get("lives", "")
    body: dict[str, Any] = {"name": name, "scopes": [scope]}
    if lives in LIVES and lives:
        until = datetime.now(UTC) + timedelta(days=int(lives))
        body["expires_at"] = timestamp(round(until.timestamp() * 1000))
    try:
        made = await api.post("keys", body)
    except RefusedError as error:
        if error.status not in (400, 409):
            raise
        field = error.pointer.removeprefix("#/").partition("/")[0] or "form"
        problem = (field, error.detail.removeprefix(f"{field}: "))
        typed = {"name": name, "scope": scope, "lives": lives}
        return await _page(request, api, typed, problem)
    return render(request, "key_made.html", made=made)


@signed_in
async def revoke_key(request: Request) -> Response:
    """Let a key open nothing any more."""
    await api_of(request).ask("DELETE", f"keys/{request.path_params['key_id']}")
    return redirected(request, "/keys")


async def _page(
    request: Request,
    api: Api,
    typed: dict[str, str] | None = None,
    problem: tuple[str, str] | None = None,
) -> Response:
    cursor = request.query_params.get("cursor", "")
    page = await api.get("keys", {"cursor": cursor, "limit": str(KEYS_A_PAGE)})
    return render(
        request,
        "keys.html",
        422 if problem else 200,
        keys=[_described(api, one) for one in page["data"]],
        is_first_page=not cursor,
        **pages_of("/keys", {}, page["next_cursor"]),
        scopes=SCOPES,
        lives=LIVES,
        typed=typed or {"name": "", "scope": "read", "lives": "90"},
        problem=problem,
    )


def _described(api: Api, key: dict[str, Any]) -> dict[str, Any]:
    """A key of the API, with its state and the most that it may."""
    state = "active"
    if key["revoked_at"]:
        state = "revoked"
    elif key["expires_at"] and datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC):
        state = "expired"
    return {
        **key,
        "state": state,
        "scope": next(scope for scope in reversed(SCOPES) if scope in key["scopes"]),
        "is_admin_key": key["id"] == ADMIN_KEY_ID,
        "is_own": key["id"] == api.access.key_id,
    }
