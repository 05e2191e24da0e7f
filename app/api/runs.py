"""`/api/v1/runs`: the list, and one run."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.resources import Resources, resources_of, run_of
from app.model import Completeness
from app.proof import Losses, are_said_to_be_delivered, generations
from app.record import Record, run_record, time_of
from app.store import cursor
from app.store.rows import EdgesCallbackRow
from app.store.views import RUN_SORTS, RunFilter, RunView

LIST_PARAMETERS = (
    "status",
    "completeness",
    "action_name",
    "scheduled_run_uid",
    "q",
    "created_after",
    "sort",
    "limit",
    "cursor",
)

DETAILS_MAX = 100
"""Callbacks and inputs that are named in what is missing of a run."""

GONE = "Edges does not know this run any more: it archives runs 90 days after they were made"


async def list_runs(request: Request) -> Response:
    """Runs, newest first unless sorted otherwise."""
    parameters = Parameters(request, LIST_PARAMETERS)
    sort = parameters.choice("sort", RUN_SORTS) or "-created"
    given = parameters.text("cursor")
    after = cursor.decode(f"runs:{sort}", given, (int, str)) if given else None
    limit = parameters.limit()
    runs = await resources_of(request).reader.runs(
        RunFilter(
            status=parameters.text("status"),
            completeness=parameters.text("completeness"),
            action_name=parameters.text("action_name"),
            scheduled_run_uid=parameters.text("scheduled_run_uid"),
            search=parameters.text("q"),
            created_after_ms=parameters.time_ms("created_after"),
        ),
        sort=sort,
        after=(after[0], after[1]) if after else None,
        limit=limit + 1,
    )
    next_cursor = None
    if len(runs) > limit:
        last = runs[limit - 1]
        time_ms = last.first_received_ms if sort.endswith("created") else last.last_received_ms
        next_cursor = cursor.encode(f"runs:{sort}", (time_ms, last.run_uid))
    return page(request, [run_record(run) for run in runs[:limit]], next_cursor)


async def get_run(request: Request) -> Response:
    """One run, with what is missing of it."""
    Parameters(request, ())
    run = await run_of(request)
    record = run_record(run)
    reader = resources_of(request).reader
    record["reconciliation"] = await _reconciliation(resources_of(request), run)
    if run.told is not None:
        lost = Losses(run.lost_results, run.lost_inputs)
        record["losses"]["are_said_to_be_delivered"] = are_said_to_be_delivered(run.told, lost)
    if run.told is not None and (run.missing is not None or run.told.failed_callbacks):
        failed = await reader.edges_callbacks(run.run_uid, failed_only=True, limit=DETAILS_MAX)
        records = [_edges_callback(row) for row in failed]
        record["losses"]["causes"] = _causes(records)
        if run.missing is not None:
            short = await reader.short_inputs(run.run_uid, DETAILS_MAX)
            record["missing"]["callbacks"] = records
            record["missing"]["short_inputs"] = [
                {"input_uid": uid, "results": results} for uid, results in short
            ]
    return answer(record)


async def _reconciliation(resources: Resources, run: RunView) -> Record | None:
    """How far the comparison with Edges is; None without a key of its API."""
    reconciler = resources.reconciler()
    if reconciler is None:
        return None
    due = await reconciler.state(run.run_uid)
    last = run.told.last if run.told else None
    checked_ms = last.told_ms if last else 0
    asked_ms = run.told.latest("reconcile") if run.told else 0
    is_gone = run.told is not None and run.told.is_gone
    problem = GONE if is_gone else due.problem if due else None
    is_settled = run.completeness == Completeness.COMPLETE or (
        due is not None and (due.due_ms is not None or problem is not None)
    )
    return {
        "checked_at": time_of(checked_ms or None),
        "next_at": time_of(due.due_ms if due else None),
        "is_over": problem is not None or (checked_ms >= asked_ms > 0 and is_settled),
        "problem": problem,
        "generations": len(generations(run.told)) if run.told else 0,
        "output_count_is": _counting(run),
    }


def _counting(run: RunView) -> str | None:
    """How Edges counts the outputs of a continued run; None of one that was not continued."""
    if run.told is None or len(generations(run.told)) < 2:
        return None
    return "reset" if run.told.is_reset else "cumulative"


def _edges_callback(row: EdgesCallbackRow) -> Record:
    """What Edges records of one of its callbacks."""
    return {
        "callback_uid": row.uid,
        "batch_uid": row.batch_uid,
        "http_status": row.http_status,
        "error": row.error,
        "created_at": time_of(row.created_ms),
        "replays_asked": row.replays,
    }


def _causes(records: Sequence[Record]) -> list[Record]:
    """Why callbacks failed, by HTTP status and what Edges says of it, the most frequent first."""
    causes: dict[tuple[int | None, str | None], Record] = {}
    for record in records:
        cause = causes.setdefault(
            (record["http_status"], record["error"]),
            {
                "http_status": record["http_status"],
                "error": record["error"],
                "callbacks": 0,
                "first_at": record["created_at"],
            },
        )
        cause["callbacks"] += 1
        cause["last_at"] = record["created_at"]
    return sorted(causes.values(), key=lambda cause: -cause["callbacks"])
