"""`…/inputs`: what went into a run, and what became of each."""

from starlette.requests import Request
from starlette.responses import Response

from app.api import downloads
from app.api.downloads import INPUT_SHAPES, Facts, chosen_download
from app.api.pages import page
from app.api.parameters import Parameters
from app.api.resources import resources_of, run_of
from app.export.records import flat_input, given_input
from app.export.sheets import FurtherSheets, run_facts
from app.export.stream import OrderChangedError, input_columns, inputs_file
from app.export.table import SheetWriter
from app.record import input_record
from app.store import cursor
from app.store.views import InputFilter

PARAMETERS = ("status", "error_label", "limit", "cursor", *downloads.PARAMETERS)


async def run_inputs(request: Request) -> Response:
    """The inputs of one run."""
    parameters = Parameters(request, PARAMETERS, with_custom_data=True, repeatable=("status",))
    run = await run_of(request)
    reader = resources_of(request).reader
    chosen = InputFilter(
        statuses=tuple(status.upper() for status in parameters.all("status")),
        error_label=parameters.text("error_label"),
        custom=parameters.custom,
    )
    asked = chosen_download(request, parameters, INPUT_SHAPES)
    if asked is not None:
        columns = input_columns(await reader.fields([run.run_uid]), asked.shape)
        writer = asked.writer(columns, "Inputs")
        further = None
        if isinstance(writer, SheetWriter):
            sheets = FurtherSheets(reader, writer, [run.snapshot], [run_facts(run)])
            further = sheets.behind_inputs()
        content = inputs_file(
            reader,
            run.snapshot,
            chosen,
            writer,
            shape=asked.shape,
            packer=asked.packer(),
            further=further,
        )
        return asked.answer(
            content, "inputs", run.action_name, run.run_uid, facts=Facts.of({run.completeness: 1})
        )
    limit = parameters.limit()
    given = parameters.text("cursor")
    order_no, after = cursor.decode("inputs", given, (int, bytes)) if given else (0, b"")
    if given and order_no != run.order_no:
        raise OrderChangedError(run.run_uid)
    views = await reader.inputs(run.snapshot, chosen, after=after, limit=limit + 1)
    next_cursor = None
    if len(views) > limit:
        next_cursor = cursor.encode("inputs", (run.order_no, views[limit - 1].order_key))
    records = [input_record(run.run_uid, view) for view in views[:limit]]
    shape = parameters.choice("shape", INPUT_SHAPES)
    if shape == "flat":
        records = [flat_input(record) for record in records]
    elif shape == "inputs":
        records = [given_input(record) for record in records]
    return page(request, records, next_cursor)
