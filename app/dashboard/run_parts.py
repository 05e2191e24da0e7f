"""Parts of a run's page that come after it, or anew: they are asked for by htmx."""

import asyncio
import json
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import Api, Query, RefusedError, api_of
from app.dashboard.bodies import readable
from app.dashboard.failure_words import advice
from app.dashboard.pages import render, signed_in
from app.dashboard.run import completeness_of, path_of
from app.dashboard.words import path_part
from app.model import FAILED_INPUT_STATUSES, RETRYABLE_LABELS

if TYPE_CHECKING:
    from app.dashboard.shared import SharedAnswers

PREVIEW_ROWS = 20
COLUMNS_MAX = 40
"""Columns of a preview."""
COLUMNS_AT_FIRST = 8
_FULL_ENOUGH = 0.5
_TELLING = (
    *("full_name", "name", "first_name", "last_name", "headline", "job_title", "company_name"),
    *("title", "text", "location", "connection_degree"),
    *("linkedin_profile_url", "linkedin_company_url", "linkedin_post_url"),
)
"""Columns by which people know what a result is, if it has them."""

LABELS_SHOWN = 12
EXAMPLES = 3

_INTERVALS_MAX = 400


@signed_in
async def completeness(request: Request) -> Response:
    """The panel about completeness, and what of the head goes with it."""
    run = await api_of(request).get(f"runs/{request.path_params['run_uid']}")
    return render(request, "run_completeness.html", **completeness_of(request, run), is_part=True)


@signed_in
async def figures(request: Request) -> Response:
    """Results over time, and failed inputs by the label of their error."""
    api, uid = api_of(request), request.path_params["run_uid"]
    shared: SharedAnswers = request.app.state.shared
    # All who may read may read this, and many may look at a run while it goes on.
    summary, labels, examples = await shared.get(("figures", uid), partial(_summary, api, uid))
    here, failed = path_of(uid), _failed(summary["inputs_by_status"])
    return render(
        request,
        "run_figures.html",
        here=here,
        chart=_filled(summary["over_time"]),
        failures=[
            _failure(here, label, count, page["data"])
            for (label, count), page in zip(labels, examples, strict=True)
        ],
        labels_left=len(summary["inputs_by_error"]) - len(labels),
        failed=failed,
        file=f"/api/v1{here}/inputs?{_statuses()}&shape=inputs&format=csv",
    )


async def _summary(
    api: Api, uid: str
) -> tuple[dict[str, Any], list[tuple[str, int]], list[dict[str, Any]]]:
    """A run in figures, its most frequent errors, and a page of inputs for each of them."""
    summary = await api.get(f"runs/{uid}/summary", {"columns": "false"})
    labels = list(islice(summary["inputs_by_error"].items(), LABELS_SHOWN))
    examples = await asyncio.gather(
        *[
            api.get(f"runs/{uid}/inputs", {"error_label": label, "limit": str(EXAMPLES)})
            for label, _ in labels
        ]
    )
    return summary, labels, examples


def _failed(by_status: dict[str, int]) -> int:
    return sum(count for status, count in by_status.items() if status in FAILED_INPUT_STATUSES)


def _statuses() -> str:
    return urlencode([("status", status) for status in sorted(FAILED_INPUT_STATUSES)])


def _failure(here: str, label: str, count: int, examples: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [one["error"] for one in examples if one["error"]]
    is_retryable = any(one["retryable"] for one in errors) or label in RETRYABLE_LABELS
    query = urlencode({"error_label": label})
    return {
        "label": label,
        "count": count,
        "is_retryable": is_retryable,
        "advice": advice(label, is_retryable=is_retryable),
        "examples": examples,
        "all": f"{here}/inputs?{query}",
        "file": f"/api/v1{here}/inputs?{query}&shape=inputs&format=csv",
    }


def _filled(over_time: dict[str, Any]) -> dict[str, Any]:
    """Intervals with those in which nothing came between them, as a chart wants them."""
    width_s = over_time["interval_s"]
    known = {
        int(datetime.fromisoformat(one["from"]).timestamp()): one for one in over_time["intervals"]
    }
    starts = sorted(known)
    times = (
        list(islice(range(starts[0], starts[-1] + 1, width_s), _INTERVALS_MAX)) if starts else []
    )
    nothing = {"results": 0, "callbacks": 0}
    return {
        "width_s": width_s,
        "intervals": over_time["intervals"],
        "points": json.dumps(
            [
                times,
                [known.get(time, nothing)["results"] for time in times],
                [known.get(time, nothing)["callbacks"] for time in times],
            ]
        ),
    }


@signed_in
async def preview(request: Request) -> Response:
    """The first results as a table, and which columns there are."""
    api, uid = api_of(request), request.path_params["run_uid"]
    some: Query = {"limit": str(PREVIEW_ROWS), "shape": "flat"}
    schema, page = await asyncio.gather(
        api.get(f"runs/{uid}/results/schema"), api.get(f"runs/{uid}/results", some)
    )
    columns = schema["columns"]
    wanted = set(request.query_params.getlist("columns"))
    chosen = [one["name"] for one in columns if one["name"] in wanted][:COLUMNS_MAX]
    return render(
        request,
        "run_preview.html",
        uid=uid,
        here=path_of(uid),
        columns=columns,
        chosen=chosen or _at_first(columns),
        rows=page["data"],
        sample=schema["sample"],
        columns_max=COLUMNS_MAX,
    )


@signed_in
async def preview_rows(request: Request) -> Response:
    """The same rows with other columns, which the page's address keeps."""
    uid = request.path_params["run_uid"]
    some: Query = {"limit": str(PREVIEW_ROWS), "shape": "flat"}
    page = await api_of(request).get(f"runs/{uid}/results", some)
    chosen = list(dict.fromkeys(request.query_params.getlist("columns")))[:COLUMNS_MAX]
    response = render(
        request,
        "run_preview_rows.html",
        here=path_of(uid),
        chosen=chosen,
        rows=page["data"],
    )
    query = urlencode([("columns", name) for name in chosen])
    response.headers["HX-Replace-Url"] = f"{path_of(uid)}?{query}" if query else path_of(uid)
    return response


def _at_first(columns: list[dict[str, Any]]) -> list[str]:
    """Columns that tell most: known ones first, then those that are short and mostly filled."""
    names = [one["name"] for one in columns]
    short = [
        one["name"]
        for one in columns
        if (one["fill_rate"] or 0) >= _FULL_ENOUGH
        and not one["type"].startswith(("list", "struct"))
        and not one["name"].startswith("_")
    ]
    telling = [name for name in _TELLING if name in names]
    chosen = list(dict.fromkeys([*telling, *short, *names]))[:COLUMNS_AT_FIRST]
    return [name for name in names if name in chosen]


@signed_in
async def callback_body(request: Request) -> Response:
    """A body, laid out for people; the beginning of it if it is long."""
    uid, key = request.path_params["run_uid"], request.query_params.get("key", "")
    seq = request.query_params.get("seq", "")
    answer = await api_of(request).ask("GET", f"runs/{uid}/callbacks/{key}/raw", {"seq": seq})
    body = await asyncio.to_thread(readable, answer.body)
    whole = f"/api/v1{path_of(uid, 'callbacks')}/{path_part(key)}/raw?{urlencode({'seq': seq})}"
    return render(request, "run_body.html", body=body, whole=whole)


@signed_in
async def export_progress(request: Request) -> Response:
    """How far a file is that is made in the background."""
    export_id = path_part(request.path_params["export_id"])
    export = await api_of(request).get(f"exports/{export_id}")
    return render(
        request, "run_export.html", export=export, here=path_of(request.path_params["run_uid"])
    )


@signed_in
async def erasure_progress(request: Request) -> Response:
    """How far the erasure of a run is."""
    erasure_id = path_part(request.path_params["erasure_id"])
    erasure = await api_of(request).get(f"erasures/{erasure_id}")
    return render(request, "run_erasure.html", uid=request.path_params["run_uid"], erasure=erasure)


@signed_in
async def arrived(request: Request) -> Response:
    """Lead to the page of a run once it is there."""
    uid = request.path_params["run_uid"]
    try:
        await api_of(request).get(f"runs/{uid}")
    except RefusedError as error:
        if error.status != 404:
            raise
        return Response(status_code=204)
    return Response(status_code=204, headers={"HX-Redirect": path_of(uid)})
