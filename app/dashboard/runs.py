"""The list of runs."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import api_of
from app.dashboard.first_steps import steps_of
from app.dashboard.pages import pages_of, render, signed_in
from app.dashboard.words import path_with
from app.model import RUN_STATUSES, Completeness

RUNS_A_PAGE = 50
FILTERS = ("q", "status", "completeness", "action_name", "scheduled_run_uid", "sort")
SORTS = {
    "-created": "Newest first",
    "-updated": "Latest activity first",
    "created": "Oldest first",
    "updated": "Longest quiet first",
}


@signed_in
async def run_list(request: Request) -> Response:
    """Runs, as the query chooses; only the table where htmx asks for it."""
    api = api_of(request)
    chosen = {name: request.query_params.get(name, "") for name in FILTERS}
    cursor = request.query_params.get("cursor", "")
    query = {**chosen, "cursor": cursor, "limit": str(RUNS_A_PAGE)}
    page = await api.get("runs", query)
    context: dict[str, Any] = {
        "runs": page["data"],
        "chosen": chosen,
        "is_filtered": any(value for name, value in chosen.items() if name != "sort"),
        "is_first_page": not cursor,
        "is_live": not cursor and chosen["sort"] in ("", "-created", "-updated"),
        "here": path_with("/", {**chosen, "cursor": cursor}),
        **pages_of("/", chosen, page["next_cursor"]),
    }
    if not (page["data"] or context["is_filtered"] or cursor):
        context |= await steps_of(api)
    if request.headers.get("hx-target") == "runs":
        return render(request, "runs_table.html", **context)
    choices: dict[str, Any] = {
        "statuses": RUN_STATUSES,
        "completenesses": [one.value for one in Completeness],
        "sorts": SORTS,
    }
    return render(request, "runs.html", **context, **choices)
