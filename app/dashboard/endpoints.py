"""The list of endpoints, and one with what was sent to it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.api.deliveries import STATES
from app.dashboard.asking import Api, RefusedError, api_of
from app.dashboard.endpoint_form import MAILTO
from app.dashboard.event_words import ALL_TYPES
from app.dashboard.pages import pages_of, render, signed_in
from app.dashboard.words import path_part, path_with
from app.notify.sending import COMMAND_URL

DELIVERIES_A_PAGE = 50
_SOON_S, _POLL_SOON_S, _POLL_S = 20, 2, 15
_TYPES_NAMED = 3


@signed_in
async def endpoint_list(request: Request) -> Response:
    """All endpoints; those that get nothing any more on top."""
    page = await api_of(request).get("endpoints")
    endpoints = [described(one) for one in page["data"]]
    context: dict[str, Any] = {
        "disabled": [one for one in endpoints if one["state"] == "disabled"],
        "others": [one for one in endpoints if one["state"] != "disabled"],
        "types": ALL_TYPES,
    }
    is_part = request.headers.get("hx-target") == "endpoints"
    return render(request, "endpoints_table.html" if is_part else "endpoints.html", **context)


@signed_in
async def endpoint_page(request: Request) -> Response:
    """One endpoint; only what changes by itself where htmx asks for it."""
    api, endpoint_id = api_of(request), request.path_params["endpoint_id"]
    endpoint = await endpoint_of(api, endpoint_id)
    context = await _deliveries(request, api, endpoint)
    if request.headers.get("hx-target") == "deliveries":
        return render(request, "endpoint_deliveries.html", **context)
    again = request.query_params.get("again", "")
    more: dict[str, Any] = {
        "types": ALL_TYPES,
        "again": int(again) if again.isascii() and again.isdigit() and len(again) < 8 else None,
        "since": _since(endpoint),
    }
    return render(request, "endpoint.html", **context, **more)


async def endpoint_of(api: Api, endpoint_id: str) -> dict[str, Any]:
    """An endpoint, described; also one whose secrets cannot be read, to be given new ones.

    `unreadable` says why they cannot, and is empty otherwise. Raises RefusedError.
    """
    try:
        return described(await api.get(f"endpoints/{endpoint_id}"))
    except RefusedError as error:
        if error.status != 409:
            raise
        for one in (await api.get("endpoints"))["data"]:
            if one["id"] == endpoint_id:
                return described(one) | {"unreadable": error.detail}
        raise


def described(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """An endpoint of the API, with how it is called and what it gets, in words."""
    url: str = endpoint["url"]
    address = url.removeprefix(MAILTO)
    if url == COMMAND_URL:
        address = "the command of COLLECTOR_ON_COMPLETED_COMMAND"
    kind = "Mailbox" if url.startswith(MAILTO) else "Webhook"
    if endpoint["format"] == "slack":
        kind = "Slack and the like"
    return {
        **endpoint,
        "unreadable": "",
        "path": f"/endpoints/{path_part(endpoint['id'])}",
        "is_command": url == COMMAND_URL,
        "is_mail": url.startswith(MAILTO),
        "kind": "Local command" if url == COMMAND_URL else kind,
        "address": address,
        "name": endpoint["description"] or address,
        "gets": _gets(endpoint["event_types"]),
        "only": [f"{name} = {value}" for name, value in endpoint["filters"].items()],
    }


def _gets(types: list[str]) -> str:
    if "*" in types:
        return "every event"
    named = ", ".join(types[:_TYPES_NAMED])
    left = len(types) - _TYPES_NAMED
    return f"{named} and {left} more" if left > 0 else named


async def _deliveries(request: Request, api: Api, endpoint: dict[str, Any]) -> dict[str, Any]:
    """What the table of an endpoint's deliveries shows, as the query chooses."""
    state = request.query_params.get("state", "")
    cursor = request.query_params.get("cursor", "")
    query = {"state": state, "cursor": cursor, "limit": str(DELIVERIES_A_PAGE)}
    page = await api.get(f"endpoints/{endpoint['id']}/deliveries", query)
    deliveries, path = page["data"], endpoint["path"]
    is_first = not cursor
    return {
        "endpoint": endpoint,
        "deliveries": deliveries,
        "states": STATES,
        "state": state,
        "is_first_page": is_first,
        "again_from": path_with(path, {"cursor": cursor}),
        **pages_of(path, {"state": state}, page["next_cursor"]),
        "poll_s": poll_s(deliveries) if is_first and endpoint["state"] == "active" else None,
    }


def poll_s(deliveries: list[Any]) -> int | None:
    """After how many seconds to look again at deliveries that are under way; None if none is."""
    due = [one["next_try_at"] for one in deliveries if one["state"] == "pending"]
    if not due:
        return None
    soon = datetime.now(UTC) + timedelta(seconds=_SOON_S)
    return _POLL_SOON_S if datetime.fromisoformat(min(due)) < soon else _POLL_S


def _since(endpoint: dict[str, Any]) -> str:
    """Since when what failed is likely to be wanted again, as a field of a form has it."""
    given = endpoint["failing_since"]
    then = datetime.fromisoformat(given) if given else datetime.now(UTC) - timedelta(days=1)
    return then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
