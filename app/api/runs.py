"""`/api/v1/runs`: the list, and one run."""

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.resources import resources_of, run_of
from app.export.records import Record, timestamp
from app.store import cursor
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


def run_record(run: RunView) -> Record:
    """A run as the API shows it."""
    pending = run.inputs - run.inputs_succeeded - run.inputs_failed
    return {
        "run_uid": run.run_uid,
        "action_name": run.action_name,
        "execution_mode": run.execution_mode,
        "scheduled_run_uid": run.scheduled_run_uid,
        "status": run.status,
        "completeness": run.completeness,
        "counts": {
            "callbacks": run.callbacks,
            "duplicates": run.duplicates,
            "conflicts": run.conflicts,
            "results": run.results,
            "expected_results": None,
            "inputs": run.inputs,
            "inputs_succeeded": run.inputs_succeeded,
            "inputs_failed": run.inputs_failed,
            "inputs_pending": pending,
        },
        "missing": None,
        "first_received_at": timestamp(run.first_received_ms),
        "last_received_at": timestamp(run.last_received_ms),
        "finished_at": None if run.finished_ms is None else timestamp(run.finished_ms),
        "reconciled_at": None,
        "last_error": None,
    }


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
    """One run."""
    Parameters(request, ())
    return answer(run_record(await run_of(request)))
