"""The log of events, and one with its body and where it went."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.canonical import dumps
from app.dashboard.asking import api_of
from app.dashboard.bodies import readable
from app.dashboard.endpoints import described
from app.dashboard.event_words import ALL_TYPES, GROUPS, WORDS
from app.dashboard.pages import pages_of, render, signed_in
from app.dashboard.words import path_part
from app.notify.cloud_event import TYPE_PREFIX
from app.notify.headlines import headline

EVENTS_A_PAGE = 50
DELIVERIES_SHOWN = 100
_SECTIONS = {
    "callback.quarantined": "quarantine",
    "endpoint.disabled": "endpoints",
    "schedule.missed": "schedules",
}


@signed_in
async def event_list(request: Request) -> Response:
    """Events, newest first, as the query chooses; only the table where htmx asks for it."""
    chosen = {name: request.query_params.get(name, "") for name in ("types", "run_uid")}
    cursor = request.query_params.get("cursor", "")
    query = {**chosen, "cursor": cursor, "newest_first": "true", "limit": str(EVENTS_A_PAGE)}
    page = await api_of(request).get("events", query)
    context: dict[str, Any] = {
        "events": [_told(one) for one in page["data"]],
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "is_first_page": not cursor,
        **pages_of("/events", chosen, page["next_cursor"]),
        "all_types": ALL_TYPES,
        "groups": GROUPS,
    }
    is_part = request.headers.get("hx-target") == "events"
    return render(request, "events_table.html" if is_part else "events.html", **context)


@signed_in
async def event_page(request: Request) -> Response:
    """One event."""
    api, event_id = api_of(request), request.path_params["event_id"]
    event = await api.get(f"events/{event_id}")
    query = {"event_id": event_id, "limit": DELIVERIES_SHOWN}
    deliveries = (await api.get("deliveries", query))["data"]
    endpoints = (await api.get("endpoints"))["data"] if deliveries else []
    return render(
        request,
        "event.html",
        event=_told(event),
        body=readable(dumps(event)),
        deliveries=deliveries,
        endpoints={one["id"]: described(one) for one in endpoints},
        whole=f"/api/v1/events/{path_part(event_id)}",
    )


def _told(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of the API, with what it says in a sentence."""
    kind = event["type"].removeprefix(TYPE_PREFIX)
    data = event["data"]
    run_uid = data.get("run_uid") if isinstance(data, dict) else None
    return {
        "id": event["id"],
        "type": kind,
        "time": event["time"],
        "subject": event.get("subject"),
        "page": _page_of(kind, event.get("subject")),
        "run_uid": run_uid if isinstance(run_uid, str) else None,
        "sentence": headline(kind, data),
        "words": WORDS.get(kind, ""),
    }


def _page_of(kind: str, subject: str | None) -> str | None:
    """Where what an event is about can be seen, if it is no run."""
    section = _SECTIONS.get(kind)
    return f"/{section}/{path_part(subject)}" if section and subject else None
