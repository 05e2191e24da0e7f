"""`…/results`: pages and downloads, of one run or merged over many."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from app.api import downloads, selections
from app.api.deltas import Chosen, all_of, new_of_run, new_of_runs
from app.api.downloads import SHAPES, Facts, chosen_download
from app.api.pages import page
from app.api.parameters import Parameters
from app.api.problems import bad_parameter
from app.api.resources import Resources, resources_of, run_of
from app.api.selections import chosen_selection, refused
from app.export.chosen_fields import SelectionError
from app.export.layouts import flat_result, result_record
from app.export.result_set import ALL, ResultSet, Selection
from app.export.sheets import FurtherSheets
from app.export.stream import OrderChangedError, Written, input_columns, results, snapshot
from app.export.table import SheetWriter
from app.record import Record, input_key_of
from app.store import cursor
from app.store.views import (
    START,
    ResultFilter,
    ResultPosition,
    RunFilter,
    RunSnapshot,
    RunView,
)

if TYPE_CHECKING:
    from app.export.records import Result

RUN_PARAMETERS = (
    "input_uid",
    "limit",
    "cursor",
    *selections.PARAMETERS,
    *downloads.PARAMETERS,
    *downloads.DELTA_PARAMETERS,
    "expires",
    "signature",
)
MERGED_PARAMETERS = (
    "run_uid",
    "action_name",
    "scheduled_run_uid",
    "received_after",
    "received_before",
    "limit",
    "cursor",
    *selections.PARAMETERS,
    *downloads.PARAMETERS,
    *downloads.DELTA_PARAMETERS,
)
_RUNS_AT_ONCE = 100


async def run_results(request: Request) -> Response:
    """The results of one run."""
    parameters = Parameters(
        request, RUN_PARAMETERS, with_custom_data=True, repeatable=selections.REPEATABLE
    )
    run = await run_of(request)
    uid = parameters.text("input_uid")
    input_key = None
    if uid is not None:
        input_key = input_key_of(uid)
        if input_key is None:
            input_key = await resources_of(request).reader.input_key(run.run_uid, uid)
        if input_key is None:
            raise bad_parameter("input_uid", "no input has such a uid; …/inputs lists them")
    chosen = ResultFilter(input_key=input_key, custom=parameters.custom)
    names = (run.action_name, run.run_uid)

    async def new(after: str) -> Chosen:
        filters = [run.run_uid, uid, sorted(parameters.custom)]
        return await new_of_run(resources_of(request).store, run, after, filters)

    runs = RunFilter(run_uids=(run.run_uid,))
    return await _answer(request, parameters, runs, chosen, names=names, new=new)


async def merged_results(request: Request) -> Response:
    """The results of all runs that the filters choose, run by run."""
    parameters = Parameters(
        request,
        MERGED_PARAMETERS,
        with_custom_data=True,
        repeatable=("run_uid", *selections.REPEATABLE),
    )
    chosen = ResultFilter(
        custom=parameters.custom,
        received_after_ms=parameters.time_ms("received_after"),
        received_before_ms=parameters.time_ms("received_before"),
    )
    runs = RunFilter(
        run_uids=parameters.all("run_uid"),
        action_name=parameters.text("action_name"),
        scheduled_run_uid=parameters.text("scheduled_run_uid"),
        custom=parameters.custom,
    )
    names = ("merged", datetime.now(UTC).date().isoformat())

    async def new(after: str) -> Chosen:
        if chosen.is_by_time:
            name = "received_after" if "received_after" in parameters else "received_before"
            raise bad_parameter(name, "goes with no `after`, which knows better")
        filters = [
            sorted(runs.run_uids),
            runs.action_name,
            runs.scheduled_run_uid,
            sorted(runs.custom),
        ]
        return await new_of_runs(resources_of(request).store, runs, after, filters)

    return await _answer(request, parameters, runs, chosen, names=names, new=new)


async def _answer(
    request: Request,
    parameters: Parameters,
    runs: RunFilter,
    chosen: ResultFilter,
    *,
    names: tuple[str | None, ...],
    new: Callable[[str], Awaitable[Chosen]],
) -> Response:
    """A page, or a file that is named after `names`; `new` finds what came after a cursor."""
    resources = resources_of(request)
    reader = resources.reader
    asked = chosen_download(request, parameters)
    selection = chosen_selection(parameters, is_file=asked is not None)
    after = parameters.text("after")
    if asked is None:
        if after is not None:
            raise bad_parameter("after", "is for downloads; ask for a format, such as ndjson")
        return await _page(request, parameters, runs, chosen, selection)
    # Before the columns: what comes in later, with fields of its own, is left out.
    if after is None:
        found = await all_of(reader, runs_in_export_order(resources, runs))
    else:
        if selection.with_inputs:
            raise bad_parameter("join", "goes with no `after`: inputs would come with each load")
        found = await new(after)
    wanted = await _result_set(resources, found.snapshots, chosen, selection)
    is_whole = after is None and chosen == ResultFilter() and selection == ALL
    rows = found.results if is_whole else None
    facts = Facts.of(found.states, rows=rows, next_cursor=found.next_cursor)
    written = Written()
    writer = asked.writer(wanted.columns(asked.shape), trailer=lambda: facts.trailer(written))
    further = None
    if isinstance(writer, SheetWriter):
        fields = await reader.fields([run.run_uid for run in found.snapshots])
        of_inputs = asked.fitting(input_columns(fields, asked.shape))
        sheets = FurtherSheets(reader, writer, found.snapshots, found.facts)
        further = sheets.behind_results(chosen, of_inputs, asked.shape)
    content = wanted.file(
        reader,
        writer,
        shape=asked.shape,
        packer=asked.packer(),
        further=further,
        written=written,
    )
    return asked.answer(content, "results", *names, facts=facts, written=written)


async def _result_set(
    resources: Resources,
    runs: Sequence[RunSnapshot],
    chosen: ResultFilter,
    selection: Selection,
) -> ResultSet:
    """What is asked for of some runs. Raises a 400."""
    fields = await resources.reader.fields([run.run_uid for run in runs])
    try:
        return ResultSet(
            runs, chosen, fields, resources.result_keys, selection, folder=resources.data_dir
        )
    except SelectionError as error:
        raise refused(error) from None


async def _page(
    request: Request,
    parameters: Parameters,
    runs: RunFilter,
    chosen: ResultFilter,
    selection: Selection,
) -> Response:
    resources = resources_of(request)
    limit = parameters.limit()
    known: list[RunSnapshot] = []
    if selection != ALL:  # else the catalogue is not needed
        known = [run.snapshot async for run in runs_in_export_order(resources, runs)]
    after_run, order_no, after = None, 0, START
    if given := parameters.text("cursor"):
        after_run, order_no, *place = cursor.decode("results", given, (str, int, bytes, str, int))
        after = ResultPosition(*place)
    found: list[Result] = []
    seen: list[RunView] = []
    async for run in runs_in_export_order(resources, runs, from_uid=after_run):
        if run.run_uid == after_run and run.order_no != order_no:
            raise OrderChangedError(run.run_uid)
        seen.append(run)
        async for portion in results(
            resources.reader,
            await snapshot(resources.reader, run),
            chosen,
            resources.result_keys,
            after=after if run.run_uid == after_run else START,
            limit=limit - len(found) + 1,
        ):
            found += portion
            if len(found) > limit:
                break
        if len(found) > limit:
            break
    next_cursor = None
    if len(found) > limit:
        last = found[limit - 1]
        orders = {run.run_uid: run.order_no for run in seen}
        next_cursor = cursor.encode("results", (last.run_uid, orders[last.run_uid], *last.position))
    is_flat = parameters.choice("shape", SHAPES) == "flat"
    make: Callable[[Result], Record] = flat_result if is_flat else result_record
    if selection != ALL:
        wanted = await _result_set(resources, known, chosen, selection)
        make = wanted.maker("flat" if is_flat else "record")
    return page(request, [make(result) for result in found[:limit]], next_cursor)


async def runs_in_export_order(
    resources: Resources, chosen: RunFilter, from_uid: str | None = None
) -> AsyncIterator[RunView]:
    """The chosen runs in export order, from the one named on."""
    reader = resources.reader
    if from_uid is not None:
        run = await reader.run(from_uid)
        if run is not None:
            yield run
    after = from_uid
    while runs := await reader.runs_in_export_order(chosen, after_uid=after, limit=_RUNS_AT_ONCE):
        for run in runs:
            yield run
        after = runs[-1].run_uid
