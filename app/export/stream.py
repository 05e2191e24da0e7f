"""Result sets, piece by piece: what the downloads, the pages and the demo are made of.

Rows come from the store in portions; parsing and writing happen on a thread, so that
the event loop goes on acknowledging callbacks meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeVar

from app.export.column_types import Columns, column_types
from app.export.compression import Packer
from app.export.formats import Writer
from app.export.plans import Section
from app.export.records import (
    INPUT_COLUMNS,
    INPUT_OWN_COLUMNS,
    INPUT_SECTIONS,
    RESULT_COLUMNS,
    RESULT_OWN_COLUMNS,
    RESULT_SECTIONS,
    Result,
    flat_input,
    flat_result,
    result_record,
    results_in,
    results_on,
    typed,
)
from app.export.table import Shape, TableWriter, input_lines, result_lines
from app.record import Record, input_record
from app.store.protocol import StoreError
from app.store.reader import Reader
from app.store.views import (
    OUTPUTS,
    START,
    CountedCallback,
    CountedPage,
    Fields,
    InputFilter,
    ResultFilter,
    ResultPosition,
    RunSnapshot,
    RunView,
    page_key,
)

PORTION_CALLBACKS = 256
PORTION_BYTES = 1024 * 1024
PORTION_INPUTS = 500
PORTION_PAGES = 2
"""Of `/outputs`, each of up to 500 results."""

_SNAPSHOT_TRIES = 20

Row = TypeVar("Row")


class OrderChangedError(StoreError):
    """The order of a run's inputs became known while they were read in another one."""

    def __init__(self, run_uid: str) -> None:
        super().__init__(
            f"the order of the inputs of run {run_uid} changed while they were read: Edges' list"
            " of them has just become known. Start again"
        )


async def snapshot(reader: Reader, run: RunView) -> RunSnapshot:
    """A run as it is now, results of `/outputs` included.

    Raises StoreError if it changes faster than it can be read.
    """
    for _ in range(_SNAPSHOT_TRIES):
        if run.told is None or not run.told.from_outputs:
            return run.snapshot
        pages = await reader.counted_pages(run.run_uid)
        now = await reader.run(run.run_uid)
        if now is not None and now.outputs_no == run.outputs_no:
            return run.snapshot._replace(counted_pages=tuple(pages))
        run = now or run
    raise StoreError(f"run {run.run_uid} changes faster than it can be read: try again")


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
            run,
            chosen,
            after=after,
            limit=PORTION_CALLBACKS if limit is None else min(limit, PORTION_CALLBACKS),
            bytes_max=PORTION_BYTES,
        )
        if not callbacks:
            break
        portion = await asyncio.to_thread(_read, run.run_uid, callbacks, result_keys)
        if after.place >= 0:
            portion = [result for result in portion if result.position > after]
        yield portion
        after = ResultPosition(callbacks[-1].order_key, callbacks[-1].callback_key, -1)
    if chosen.input_key is not None or chosen.custom:
        return  # of whose input such a result is, nobody knows
    async for portion in _from_outputs(reader, run, chosen, after):
        yield portion


async def _from_outputs(
    reader: Reader, run: RunSnapshot, chosen: ResultFilter, after: ResultPosition
) -> AsyncIterator[list[Result]]:
    """What only `/outputs` showed, page by page."""
    pages = run.counted_pages
    if after.order_key[:1] == OUTPUTS:
        pages = tuple(page for page in pages if page_key(page) >= after.order_key)
    if chosen.received_after_ms is not None:
        pages = tuple(page for page in pages if page.received_ms > chosen.received_after_ms)
    for start in range(0, len(pages), PORTION_PAGES):
        some = pages[start : start + PORTION_PAGES]
        entries = await reader.raw_pages(run.run_uid, [page.seq for page in some])
        portion = await asyncio.to_thread(_read_pages, run.run_uid, some, entries)
        yield [result for result in portion if result.position > after]


def _read_pages(
    run_uid: str, pages: Sequence[CountedPage], entries: dict[int, bytes]
) -> list[Result]:
    return [result for page in pages for result in results_on(run_uid, page, entries[page.seq])]


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
    packer: Packer | None = None,
) -> AsyncIterator[bytes]:
    """A file with the results of `runs`, one after another.

    Raises OrderChangedError, so that the file breaks off, if inputs got their order meanwhile.
    """
    packer = packer or Packer()
    write = results_written(writer, shape)
    yield packer.begin(writer.start())
    for run in runs:
        async for portion in results(reader, run, chosen, result_keys):
            yield await asyncio.to_thread(_packed, packer, write, portion)
        await refuse_changed(reader, run)
    yield packer.end(writer.end())


def results_written(writer: Writer, shape: Shape) -> Callable[[Iterable[Result]], bytes]:
    """What writes portions of results in this shape."""
    if shape == "flat" and isinstance(writer, TableWriter):
        return result_lines(writer)
    make = flat_result if shape == "flat" else result_record
    return lambda portion: writer.rows(map(make, portion))


def _packed(packer: Packer, write: Callable[[Iterable[Row]], bytes], portion: list[Row]) -> bytes:
    return packer.add(write(portion))


async def refuse_changed(reader: Reader, run: RunSnapshot) -> None:
    """Raise OrderChangedError if the order of the inputs is not what it was in this snapshot."""
    now = await reader.run(run.run_uid)
    if now is not None and now.order_no != run.order_no:
        raise OrderChangedError(run.run_uid)


async def inputs_file(
    reader: Reader,
    run: RunSnapshot,
    chosen: InputFilter,
    writer: Writer,
    *,
    shape: Shape,
    packer: Packer | None = None,
) -> AsyncIterator[bytes]:
    """A file with the inputs of a run. Raises OrderChangedError as `results_file` does."""
    packer = packer or Packer()
    write = _inputs_written(writer, shape)
    yield packer.begin(writer.start())
    after = b""
    while views := await reader.inputs(run, chosen, after=after, limit=PORTION_INPUTS):
        records: list[Record] = [input_record(run.run_uid, view) for view in views]
        yield await asyncio.to_thread(_packed, packer, write, records)
        after = views[-1].order_key
    await refuse_changed(reader, run)
    yield packer.end(writer.end())


def _inputs_written(writer: Writer, shape: Shape) -> Callable[[Iterable[Record]], bytes]:
    if shape == "record":
        return writer.rows
    if isinstance(writer, TableWriter):
        return input_lines(writer)
    return lambda records: writer.rows(map(flat_input, records))


def result_columns(fields: Fields, shape: Shape = "flat") -> Columns:
    """The columns of a table of results, from the catalogue."""
    if shape == "record":
        return typed(RESULT_COLUMNS)
    return _opened_columns(fields, RESULT_SECTIONS) | typed(RESULT_OWN_COLUMNS)


def input_columns(fields: Fields, shape: Shape = "flat") -> Columns:
    """The columns of a table of inputs: what was given first, to be given again."""
    if shape == "record":
        return typed(INPUT_COLUMNS)
    return _opened_columns(fields, INPUT_SECTIONS) | typed(INPUT_OWN_COLUMNS)


def _opened_columns(fields: Fields, sections: Sequence[Section]) -> Columns:
    return {
        section.column(name): column
        for section in sections
        for name, column in column_types(
            fields.kinds[section.name], fields.within[section.name]
        ).items()
    }
