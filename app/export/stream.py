"""Result sets, piece by piece: what the downloads, the pages and the demo are made of.

Rows come from the store in portions; parsing and writing happen on a thread, so that
the event loop goes on acknowledging callbacks meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from app.export.formats import Shape, Writer
from app.export.records import (
    INPUT_OWN_COLUMNS,
    RESULT_OWN_COLUMNS,
    Record,
    Result,
    flat_input,
    flat_result,
    input_record,
    result_record,
    results_in,
)
from app.store.reader import Reader
from app.store.views import (
    START,
    CountedCallback,
    InputFilter,
    ResultFilter,
    ResultPosition,
    RunSnapshot,
)

PORTION_CALLBACKS = 256
PORTION_BYTES = 1024 * 1024
PORTION_INPUTS = 500


async def results(
    reader: Reader,
    run: RunSnapshot,
    chosen: ResultFilter,
    result_keys: Sequence[str],
    *,
    after: ResultPosition = START,
    limit: int | None = None,
) -> AsyncIterator[list[Result]]:
    """The results of a run in export order, in portions.

    `limit` bounds how many are read ahead of the caller's own bound: about so many come.
    """
    while True:
        callbacks = await reader.counted_callbacks(
            run.run_uid,
            chosen,
            before_seq=run.before_seq,
            after=after,
            limit=PORTION_CALLBACKS if limit is None else min(limit, PORTION_CALLBACKS),
            bytes_max=PORTION_BYTES,
        )
        if not callbacks:
            return
        portion = await asyncio.to_thread(_read, run.run_uid, callbacks, result_keys)
        if after.place >= 0:
            portion = [result for result in portion if result.position > after]
        yield portion
        after = ResultPosition(callbacks[-1].input_key, callbacks[-1].callback_key, -1)


def _read(
    run_uid: str, callbacks: Sequence[CountedCallback], result_keys: Sequence[str]
) -> list[Result]:
    return [
        result for callback in callbacks for result in results_in(run_uid, callback, result_keys)
    ]


async def results_file(
    reader: Reader,
    runs: Iterable[RunSnapshot],
    chosen: ResultFilter,
    result_keys: Sequence[str],
    writer: Writer,
    *,
    shape: Shape,
) -> AsyncIterator[bytes]:
    """A file with the results of `runs`, one after another."""
    make = flat_result if shape == "flat" else result_record
    yield writer.start()
    for run in runs:
        async for portion in results(reader, run, chosen, result_keys):
            yield await asyncio.to_thread(_written, writer, make, portion)
    yield writer.end()


def _written(writer: Writer, make: Callable[[Result], Record], portion: list[Result]) -> bytes:
    return writer.rows(map(make, portion))


async def inputs_file(
    reader: Reader, run_uid: str, chosen: InputFilter, writer: Writer, *, shape: Shape
) -> AsyncIterator[bytes]:
    """A file with the inputs of a run."""
    yield writer.start()
    after = b""
    while views := await reader.inputs(run_uid, chosen, after=after, limit=PORTION_INPUTS):
        records: list[Record] = [input_record(run_uid, view) for view in views]
        if shape == "flat":
            records = [flat_input(record) for record in records]
        yield await asyncio.to_thread(writer.rows, records)
        after = views[-1].input_key
    yield writer.end()


def result_columns(fields: dict[str, list[str]]) -> list[str]:
    """The columns of a table of results, from the field names by section."""
    return [
        *fields["data"],
        *(f"custom_data.{name}" for name in fields["custom_data"]),
        *(f"input.{name}" for name in fields["input"]),
        *RESULT_OWN_COLUMNS,
    ]


def input_columns(fields: dict[str, list[str]]) -> list[str]:
    """The columns of a table of inputs: what was given first, to be given again."""
    return [
        *(f"input.{name}" for name in fields["input"]),
        *(f"custom_data.{name}" for name in fields["custom_data"]),
        *INPUT_OWN_COLUMNS,
    ]
