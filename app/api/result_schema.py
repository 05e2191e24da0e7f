"""`…/results/schema`: what results look like, and how full their columns are."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer
from app.api.parameters import Parameters
from app.api.resources import resources_of, run_of
from app.api.results import runs_in_export_order
from app.export.result_schema import record_schema, type_name
from app.export.sample import Sample, sample
from app.export.stream import result_columns
from app.record import Record
from app.store.views import Fields, RunFilter, RunView

MERGED_PARAMETERS = ("run_uid", "action_name", "scheduled_run_uid")


async def run_schema(request: Request) -> Response:
    """Of the results of one run."""
    Parameters(request, ())
    return await _answer(request, [await run_of(request)])


async def merged_schema(request: Request) -> Response:
    """Of the results of all runs that the filters choose."""
    parameters = Parameters(
        request, MERGED_PARAMETERS, with_custom_data=True, repeatable=("run_uid",)
    )
    chosen = RunFilter(
        run_uids=parameters.all("run_uid"),
        action_name=parameters.text("action_name"),
        scheduled_run_uid=parameters.text("scheduled_run_uid"),
        custom=parameters.custom,
    )
    resources = resources_of(request)
    return await _answer(request, [run async for run in runs_in_export_order(resources, chosen)])


async def _answer(request: Request, runs: list[RunView]) -> Response:
    resources = resources_of(request)
    fields = await resources.reader.fields([run.run_uid for run in runs])
    seen = await sample(resources.reader, runs, resources.result_keys)
    return answer({**described(fields, seen), "json_schema": record_schema(fields)})


def described(fields: Fields, seen: Sample) -> Record:
    """Columns with their types, and what a sample shows of them."""
    return {
        "columns": _columns(fields, seen),
        "sample": {"results": seen.results, "is_whole": seen.is_whole},
    }


def _columns(fields: Fields, seen: Sample) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": type_name(column),
            "fill_rate": _rate(seen, name),
            "examples": seen.columns[name].examples if name in seen.columns else [],
        }
        for name, column in result_columns(fields).items()
    ]


def _rate(seen: Sample, name: str) -> float | None:
    if not seen.results:
        return None
    return round(seen.columns[name].filled / seen.results, 4) if name in seen.columns else 0.0
