"""The pages of one run: what there is of it, its inputs, its callbacks, its events."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import Api, Query, RefusedError, api_of
from app.dashboard.completeness_words import completeness_words
from app.dashboard.endpoints import described
from app.dashboard.pages import pages_of, render, signed_in
from app.dashboard.words import path_part
from app.event import EventType
from app.export.compression import COMPRESSIONS
from app.model import TERMINAL_STATUSES
from app.notify.cloud_event import TYPE_PREFIX
from app.notify.headlines import headline
from app.notify.words import run_name

ROWS_A_PAGE = 50
EVENTS_A_PAGE = 25
DELIVERIES_SHOWN = 50
LARGE_RESULTS = 50_000
"""From so many results on, a file that is made in the background is offered first."""

INPUT_STATUSES = ("SUCCEEDED", "FAILED", "BLOCKED", "STOPPED", "RUNNING", "QUEUED", "SCHEDULED")
INPUT_FILTERS = ("status", "error_label", "path", "value")
RUN_EVENTS = tuple(
    one.value
    for one in EventType
    if one.value.startswith(("run.", "input.", "callback")) and one != "callback.quarantined"
)
FORMATS = {
    "csv": "CSV",
    "xlsx": "Excel (XLSX)",
    "parquet": "Parquet",
    "ndjson": "NDJSON",
    "json": "JSON",
}
_CONTINUABLE = TERMINAL_STATUSES - {"INVALID"}
_ACTED = {
    "reconcile": "The run is compared with Edges now; this panel follows.",
    "resume": "Edges was asked to go on with the run.",
    "continue": "Edges was asked to fetch what is new: the run begins anew under its uid.",
    "cancel": "Edges was asked to stop the run. What came so far is kept.",
}


def path_of(run_uid: str, *parts: str) -> str:
    """The path of a page of a run."""
    return "/".join(["/runs", path_part(run_uid), *parts])


@signed_in
async def run_page(request: Request) -> Response:
    """What there is of a run at a glance."""
    uid = request.path_params["run_uid"]
    if erasure_id := request.query_params.get("erasure"):
        erasure = await api_of(request).get(f"erasures/{path_part(erasure_id)}")
        return render(request, "run_erased.html", uid=uid, erasure=erasure)
    return await overview(request)


async def overview(
    request: Request,
    status: int = 200,
    *,
    refused: RefusedError | None = None,
    refused_of: str = "",
    form: Mapping[str, str] | None = None,
) -> Response:
    """The first page of a run; what was `refused` is said where it was asked for.

    `refused_of` is the part of the page (`act`, `file` or `delete`), `form` what was typed.
    """
    api, uid = api_of(request), request.path_params["run_uid"]
    run = await _run(api, uid)
    if run is None:
        return render(request, "run_unknown.html", 404, uid=uid, refused=refused)
    export = await _export(api, request.query_params.get("export", ""))
    return render(
        request,
        "run.html",
        status,
        **completeness_of(request, run),
        export=export,
        refused=refused,
        refused_of=refused_of,
        form=form or {},
        columns_query=urlencode(
            [("columns", one) for one in request.query_params.getlist("columns")]
        ),
        formats=FORMATS,
        compressions=list(COMPRESSIONS),
        is_large=run["counts"]["results"] >= LARGE_RESULTS,
    )


def completeness_of(request: Request, run: dict[str, Any]) -> dict[str, Any]:
    """What the head and the panel about completeness are made of."""
    reconciliation = run["reconciliation"]
    may_act = reconciliation is not None and api_of(request).access.may("write")
    # Until Edges was asked, a status is one that callbacks showed, maybe of their inputs alone.
    is_known = reconciliation is not None and reconciliation["checked_at"] is not None
    acts = {
        "reconcile": may_act,
        "resume": may_act and run["status"] == "STOPPED",
        "continue": may_act and run["status"] in _CONTINUABLE,
        "cancel": may_act and not (is_known and run["status"] in TERMINAL_STATUSES),
    }
    is_open = run["completeness"] == "open"
    return {
        "run": run,
        "here": path_of(run["run_uid"]),
        "said": completeness_words(run, datetime.now(UTC)),
        "acts": [name for name, is_possible in acts.items() if is_possible],
        "acted": _ACTED.get(request.query_params.get("asked", ""), ""),
        "is_moving": reconciliation is not None
        and run["completeness"] in ("unverified", "incomplete")
        and not reconciliation["is_over"],
        # What the panel's words are made of, as far as live updates tell it.
        "state_key": " ".join(
            [run["status"], run["completeness"], "" if is_open else str(run["counts"]["results"])]
        ),
    }


async def _export(api: Api, export_id: str) -> Any:
    """The file that is being made for this page; None if there is none, or not any more."""
    if not export_id:
        return None
    try:
        return await api.get(f"exports/{path_part(export_id)}")
    except RefusedError:
        return None


async def _run(api: Api, uid: str) -> Any:
    """A run of the API; None if there is none. Raises RefusedError for anything else."""
    try:
        return await api.get(f"runs/{uid}")
    except RefusedError as error:
        if error.status != 404:
            raise
        return None


async def _headed(request: Request) -> dict[str, Any] | Response:
    """What every page of a run has; another page if there is no such run."""
    uid = request.path_params["run_uid"]
    run = await _run(api_of(request), uid)
    if run is None:
        return render(request, "run_unknown.html", 404, uid=uid, refused=None)
    return {"run": run, "here": path_of(run["run_uid"])}


@signed_in
async def run_inputs(request: Request) -> Response:
    """The inputs of a run, as the query chooses them."""
    headed = await _headed(request)
    if isinstance(headed, Response):
        return headed
    uid = headed["run"]["run_uid"]
    chosen = {name: request.query_params.get(name, "").strip() for name in INPUT_FILTERS}
    cursor = request.query_params.get("cursor", "")
    query = [("status", chosen["status"]), ("error_label", chosen["error_label"])]
    if chosen["path"] and chosen["value"]:
        query.append((f"custom_data.{chosen['path']}", chosen["value"]))
    refused: RefusedError | None = None
    page: dict[str, Any] = {"data": [], "next_cursor": None}
    try:
        asked = [*query, ("cursor", cursor), ("limit", str(ROWS_A_PAGE))]
        page = await api_of(request).get(f"runs/{uid}/inputs", asked)
    except RefusedError as error:
        refused = error
    file = urlencode([(name, value) for name, value in query if value] + [("shape", "inputs")])
    here = path_of(uid, "inputs")
    return render(
        request,
        "run_inputs.html",
        refused.status if refused else 200,
        **headed,
        inputs=page["data"],
        chosen=chosen,
        is_filtered=any(chosen.values()),
        lacks=_lacking(chosen),
        refused=refused,
        statuses=INPUT_STATUSES,
        is_first_page=not cursor,
        **pages_of(here, chosen, page["next_cursor"]),
        file=f"/api/v1{here}?{file}&format=csv",
    )


def _lacking(chosen: Mapping[str, str]) -> str:
    """What is to be filled in beside what was, of a search by custom_data."""
    if chosen["value"] and not chosen["path"]:
        return "Name the path in custom_data too, such as row_id: the value was not looked for."
    if chosen["path"] and not chosen["value"]:
        return "Give the value that is to stand there too: it was not looked for."
    return ""


@signed_in
async def run_callbacks(request: Request) -> Response:
    """The log of a run."""
    headed = await _headed(request)
    if isinstance(headed, Response):
        return headed
    uid, cursor = headed["run"]["run_uid"], request.query_params.get("cursor", "")
    chosen = _order_of(request)
    asked = {**chosen, "cursor": cursor, "limit": str(ROWS_A_PAGE)}
    page = await api_of(request).get(f"runs/{uid}/callbacks", asked)
    here = path_of(uid, "callbacks")
    return render(
        request,
        "run_callbacks.html",
        **headed,
        callbacks=page["data"],
        is_first_page=not cursor,
        newest_first=chosen["newest_first"] == "true",
        **pages_of(here, {"order": request.query_params.get("order", "")}, page["next_cursor"]),
    )


def _order_of(request: Request) -> dict[str, str]:
    """The latest first, unless the query has it otherwise."""
    return {"newest_first": "false" if request.query_params.get("order") == "arrival" else "true"}


@signed_in
async def run_events(request: Request) -> Response:
    """What happened to a run, and whom it was told."""
    headed = await _headed(request)
    if isinstance(headed, Response):
        return headed
    api, uid = api_of(request), headed["run"]["run_uid"]
    chosen, cursor = request.query_params.get("types", ""), request.query_params.get("cursor", "")
    asked = {**_order_of(request), "run_uid": uid, "types": chosen, "cursor": cursor}
    page = await api.get("events", {**asked, "limit": str(EVENTS_A_PAGE)})
    latest: Query = {"run_uid": uid, "limit": str(DELIVERIES_SHOWN)}
    deliveries = await api.get("deliveries", latest)
    endpoints = await api.get("endpoints") if deliveries["data"] else {"data": []}
    kept = {"types": chosen, "order": request.query_params.get("order", "")}
    return render(
        request,
        "run_events.html",
        **headed,
        events=[_told(one) for one in page["data"]],
        deliveries=deliveries["data"],
        has_more_deliveries=deliveries["next_cursor"] is not None,
        endpoints={one["id"]: described(one) for one in endpoints["data"]},
        types=RUN_EVENTS,
        chosen=chosen,
        newest_first=asked["newest_first"] == "true",
        is_first_page=not cursor,
        **pages_of(path_of(uid, "events"), kept, page["next_cursor"]),
    )


def _told(event: dict[str, Any]) -> dict[str, Any]:
    """An event with a sentence of what happened."""
    kind = event["type"].removeprefix(TYPE_PREFIX)
    words, name = headline(kind, event["data"]), run_name(event["data"])
    for spelled in (name, name[:1].upper() + name[1:]):  # which run it is stands above
        words = words.replace(spelled, "the run")
    return {
        "id": event["id"],
        "type": kind,
        "time": event["time"],
        "words": words[:1].upper() + words[1:],
    }
