"""`/api/v1/keys`: the keys that open this API, made, shown without themselves, and revoked."""

import re
from time import time_ns

from starlette.requests import Request
from starlette.responses import Response

from app.api.access import ADMIN_KEY_ID, LIVE_MAX, SCOPES, new_key
from app.api.json_body import json_object, validated
from app.api.key_schema import NewApiKey
from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, not_found
from app.api.resources import resources_of
from app.model import timestamp
from app.record import Record, time_of
from app.store import cursor
from app.store.api_keys import ApiKeyRow

BODY_BYTES_MAX = 16 * 1024
LIST_PARAMETERS = ("limit", "cursor")

ADMIN_ADVICE = (
    "the admin key is changed in the settings: set another COLLECTOR_ADMIN_KEY, or delete the file"
    " admin-key of the data folder to have one made; then start the collector again"
)
_KEY_ID = re.compile(r"key_[0-9a-f]{32}")


def key_record(row: ApiKeyRow) -> Record:
    """A key as the API shows it."""
    return {
        "id": row.key_id,
        "name": row.name,
        "scopes": row.scopes.split(","),
        "hint": row.hint,
        "created_at": timestamp(row.created_ms),
        "expires_at": time_of(row.expires_ms),
        "last_used_at": time_of(row.last_used_ms),
        "revoked_at": time_of(row.revoked_ms),
    }


def admin_record(hint: str | None) -> Record:
    """The key of the settings, among the others."""
    return {
        "id": ADMIN_KEY_ID,
        "name": "admin key",
        "scopes": list(SCOPES),
        "hint": hint,
        "created_at": None,
        "expires_at": None,
        "last_used_at": None,
        "revoked_at": None,
    }


async def list_keys(request: Request) -> Response:
    """The admin key, then the others, newest first; also those that open nothing any more."""
    parameters = Parameters(request, LIST_PARAMETERS)
    limit, given = parameters.limit(), parameters.text("cursor")
    before = cursor.decode("keys", given, (str,))[0] if given else None
    resources = resources_of(request)
    rows = await resources.store.api_keys.page(before=before, limit=limit + 1)
    records = [key_record(row) for row in rows[:limit]]
    if before is None:
        records.insert(0, admin_record(resources.keyring.admin_hint))
    next_cursor = None
    if len(rows) > limit:
        next_cursor = cursor.encode("keys", (rows[limit - 1].key_id,))
    return page(request, records, next_cursor)


async def create_key(request: Request) -> Response:
    """Make a key; it is shown in this answer, and never again."""
    Parameters(request, ())
    resources = resources_of(request)
    asked = validated(NewApiKey, await json_object(request, BODY_BYTES_MAX) or {})
    now_ms = time_ns() // 1_000_000
    expires_ms = None
    if asked.expires_at is not None:
        expires_ms = round(asked.expires_at.timestamp() * 1000)
        if expires_ms <= now_ms:
            raise ProblemError(
                400, "Bad body", "expires_at: is in the past", pointer="#/expires_at"
            )
    if await resources.store.api_keys.live(now_ms) >= LIVE_MAX:
        raise ProblemError(
            409, "Too many", f"there are {LIVE_MAX:,} keys already: revoke some, then ask again"
        )
    key, row = new_key(asked.name, asked.scopes, expires_ms)
    await resources.store.api_keys.add(row)
    resources.keyring.changed()
    headers = {"Location": f"/api/v1/keys/{row.key_id}", "Cache-Control": "no-store"}
    return answer({**key_record(row), "key": key}, 201, headers)


async def get_key(request: Request) -> Response:
    """One key."""
    Parameters(request, ())
    return answer(await _record_of(request))


async def revoke_key(request: Request) -> Response:
    """Let a key open nothing any more; it stays in the list."""
    Parameters(request, ())
    resources, key_id = resources_of(request), request.path_params["key_id"]
    if key_id == ADMIN_KEY_ID:
        raise ProblemError(409, "Not revoked", ADMIN_ADVICE)
    if _KEY_ID.fullmatch(key_id):
        await resources.store.api_keys.revoke(key_id, time_ns() // 1_000_000)
        resources.keyring.changed()
    return answer(await _record_of(request))


async def _record_of(request: Request) -> Record:
    """The key that the path names. Raises a 404."""
    resources, key_id = resources_of(request), request.path_params["key_id"]
    if key_id == ADMIN_KEY_ID:
        return admin_record(resources.keyring.admin_hint)
    row = await resources.store.api_keys.one(key_id) if _KEY_ID.fullmatch(key_id) else None
    if row is None:
        raise not_found(f"key {key_id}; /api/v1/keys lists them")
    return key_record(row)
