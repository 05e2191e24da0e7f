"""Schedules: when they run in words, what became of their iterations, and changing them."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import RefusedError, api_of
from app.dashboard.pages import form_of, pages_of, redirected, render, signed_in
from app.dashboard.strip import STATES, strip

SCHEDULES_A_PAGE = 50
ITERATIONS = 350
NEXT = 170
"""What an hourly schedule has in two weeks, and in one."""

STATUSES = ("ACTIVE", "PAUSED", "COMPLETED", "CANCELLED", "DELETED")
DONE = {
    "pause": "Paused: Edges launches no run of it until it is resumed.",
    "resume": "Resumed: Edges launches its next run when it is due.",
    "update": "Changed at Edges.",
    "delete": "Deleted at Edges. Its runs and their results stay here.",
}
FIELDS = ("cron", "timezone", "schedule_at")


@signed_in
async def schedule_list(request: Request) -> Response:
    """All schedules; those of one status if the query names it."""
    status = request.query_params.get("status", "")
    cursor = request.query_params.get("cursor", "")
    query = {"status": status, "cursor": cursor, "limit": str(SCHEDULES_A_PAGE)}
    page = await api_of(request).get("schedules", query)
    return render(
        request,
        "schedules.html",
        schedules=[_with_local(one) for one in page["data"]],
        chosen=status,
        statuses=STATUSES,
        **pages_of("/schedules", {"status": status}, page["next_cursor"]),
    )


@signed_in
async def schedule(request: Request) -> Response:
    """One schedule."""
    done = DONE.get(request.query_params.get("done", ""), "")
    return await _page(request, done=done)


@signed_in
async def schedule_days(request: Request) -> Response:
    """The strip of one schedule with a cell a day: a part of the list, which comes after it."""
    detail = await _detail(request)
    days = _strip(detail, cells_a_day=1)
    return render(request, "schedule_days.html", schedule=detail, days=days)


@signed_in
async def act(request: Request) -> Response:
    """Pause, resume, change or delete it at Edges."""
    uid, action = request.path_params["scheduled_run_uid"], request.path_params["action"]
    form, body = await form_of(request), None
    if action == "update":
        given = {name: form[name].strip() for name in FIELDS if name in form}
        empty = {name: "Say when it is to run." for name, value in given.items() if not value}
        if empty:
            return await _page(request, 422, typed=given, problems=empty)
        body = given
    try:
        await api_of(request).post(f"schedules/{uid}/{action}", body)
    except RefusedError as error:
        if action not in DONE:
            raise
        name, _, said = error.detail.partition(": ")
        problems = {name: said} if name in FIELDS else {"": error.detail}
        status = 422 if error.status == 400 else error.status
        return await _page(request, status, typed=body or {}, problems=problems)
    return redirected(request, f"/schedules/{quote(uid, safe='')}?done={action}")


async def _page(
    request: Request,
    status: int = 200,
    *,
    done: str = "",
    typed: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> Response:
    detail = await _detail(request)
    ingest = await api_of(request).get("ingest")
    return render(
        request,
        "schedule.html",
        status,
        schedule=detail,
        days=_strip(detail),
        states=STATES,
        can_change=ingest["edges_key_is_set"],
        done=done,
        typed={**{name: detail[name] or "" for name in FIELDS}, **(typed or {})},
        problems=problems or {},
    )


async def _detail(request: Request) -> dict[str, Any]:
    uid = request.path_params["scheduled_run_uid"]
    query = {"iterations": str(ITERATIONS), "next": str(NEXT)}
    return _with_local(await api_of(request).get(f"schedules/{uid}", query))


def _strip(detail: Mapping[str, Any], **options: int) -> list[Any]:
    now = datetime.now(UTC).astimezone(_zone(detail["timezone"]))
    return strip(detail, now, iterations_max=ITERATIONS, **options)


def _with_local(told: dict[str, Any]) -> dict[str, Any]:
    """The schedule with its next run by its own clocks, as `Thu 26 Nov 09:00`."""
    text = told["next_run_at"]
    if text is None:
        return {**told, "next_local": None}
    moment = datetime.fromisoformat(text).astimezone(_zone(told["timezone"]))
    return {**told, "next_local": f"{moment:%a %-d %b %H:%M}"}


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # as Edges told it; `problem` says so
        return UTC
