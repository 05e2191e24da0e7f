"""Result sets, piece by piece: what the downloads, the pages and the demo are made of.

Rows come from the store in portions; parsing and writing happen on a thread, so that
the event loop goes on acknowledging callbacks meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from app.export.column_types import Columns
from app.export.compression import Packer
from app.export.delta import Delta, Fresh
from app.export.formats import LineWriter, Writer
from app.export.layouts import RESULTS, flat_result, opened_columns, result_record
from app.export.parquet_writer import ParquetWriter
from app.export.record_lines import KeyedLine, callback_lines, record_lines
from app.export.records import (
    GIVEN_SECTIONS,
    INPUT_COLUMNS,
    INPUT_OWN_COLUMNS,
    INPUT_SECTIONS,
    RESULT_COLUMNS,
    Result,
    flat_given,
    flat_input,
    given_input,
    results_in,
    results_on,
    typed,
)
from app.export.skimming import Skim, Skimmed
from app.export.table import Shape, TableWriter, given_lines, input_lines, unread_lines
from app.export.unparsed import UnparsedResults, UnreadResults, left_unparsed
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


@dataclass(slots=True)
class Written:
    """How far a file is."""

    rows: int = 0


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
    Of a delta, only those that are new, in the order of arrival.
    """
    if run.since is not None:
        async for portion in _new_results(reader, run, chosen, result_keys):
            yield portion
        return
    async for callbacks in _callbacks(reader, run, chosen, after=after, limit=limit):
        portion = await asyncio.to_thread(_read, run.run_uid, callbacks, result_keys)
        if after.place >= 0:
            portion = [result for result in portion if result.position > after]
        yield portion
    async for portion in _from_outputs(reader, run, chosen, after):
        yield portion


async def skimmed(
    reader: Reader,
    run: RunSnapshot,
    chosen: ResultFilter,
    skim: Skim,
) -> AsyncIterator[Sequence[Result | Skimmed]]:
    """As `results`, with no more of each than is to be skimmed."""
    async for callbacks in _callbacks(reader, run, chosen):
        yield await asyncio.to_thread(skim.results_in, callbacks)
    async for portion in _from_outputs(reader, run, chosen, START):
        yield portion


async def _callbacks(
    reader: Reader,
    run: RunSnapshot,
    chosen: ResultFilter,
    *,
    after: ResultPosition = START,
    limit: int | None = None,
) -> AsyncIterator[list[CountedCallback]]:
    """Callbacks whose results count, from the one of `after` on, in portions."""
    while callbacks := await reader.counted_callbacks(
        run,
        chosen,
        after=after,
        limit=PORTION_CALLBACKS if limit is None else min(limit, PORTION_CALLBACKS),
        bytes_max=PORTION_BYTES,
    ):
        yield callbacks
        after = ResultPosition(callbacks[-1].order_key, callbacks[-1].callback_key, -1)


async def _new_results(
    reader: Reader, run: RunSnapshot, chosen: ResultFilter, result_keys: Sequence[str]
) -> AsyncIterator[list[Result]]:
    delta = Delta(reader, run, chosen)
    async for callbacks, fresh in delta.callbacks():
        portion = await asyncio.to_thread(_read_new, run.run_uid, callbacks, fresh, result_keys)
        if portion:
            yield portion
    listed = run._replace(counted_pages=delta.pages)
    async for portion in _from_outputs(reader, listed, chosen, START):
        yield portion


async def _new_lines(
    reader: Reader, run: RunSnapshot, chosen: ResultFilter, result_keys: Sequence[str]
) -> AsyncIterator[list[bytes]]:
    delta = Delta(reader, run, chosen)
    async for callbacks, fresh in delta.callbacks():
        if all(fresh(callback) is None for callback in callbacks):
            yield await asyncio.to_thread(callback_lines, run.run_uid, callbacks, result_keys)
            continue
        portion = await asyncio.to_thread(_read_new, run.run_uid, callbacks, fresh, result_keys)
        yield await asyncio.to_thread(record_lines, portion)
    listed = run._replace(counted_pages=delta.pages)
    async for portion in _from_outputs(reader, listed, chosen, START):
        yield await asyncio.to_thread(record_lines, portion)


def _read_new(
    run_uid: str, callbacks: Sequence[CountedCallback], fresh: Fresh, result_keys: Sequence[str]
) -> list[Result]:
    found: list[Result] = []
    for callback in callbacks:
        bits = fresh(callback)
        if bits != 0:
            found += (
                result
                for result in results_in(run_uid, callback, result_keys)
                if bits is None or bits >> result.place & 1
            )
    return found


async def _from_outputs(
    reader: Reader, run: RunSnapshot, chosen: ResultFilter, after: ResultPosition
) -> AsyncIterator[list[Result]]:
    """What only `/outputs` showed, page by page."""
    if chosen.names_inputs:
        return  # of whose input such a result is, nobody knows
    pages = run.counted_pages
    if after.order_key[:1] == OUTPUTS:
        pages = tuple(page for page in pages if page_key(page) >= after.order_key)
    if chosen.is_by_time:
        pages = tuple(page for page in pages if chosen.takes_time(page.received_ms))
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


async def run_by_run(
    reader: Reader,
    runs: Iterable[RunSnapshot],
    rows_of: Callable[[RunSnapshot], AsyncIterator[list[Row]]],
) -> AsyncIterator[list[Row]]:
    """The rows of each run, one run after another.

    Raises OrderChangedError if the inputs of a run got their order meanwhile.
    """
    for run in runs:
        async for portion in rows_of(run):
            yield portion
        if run.since is not None:
            continue  # it goes by another order
        now = await reader.run(run.run_uid)
        if now is not None and now.order_no != run.order_no:
            raise OrderChangedError(run.run_uid)


async def file_of(
    portions: AsyncIterator[list[Row]],
    write: Callable[[list[Row]], bytes],
    writer: Writer,
    packer: Packer | None = None,
    *,
    further: AsyncIterator[bytes] | None = None,
    written: Written | None = None,
    rows_in: Callable[[list[Row]], int] = len,
) -> AsyncIterator[bytes]:
    """A file with these rows, and what is `further` in it; it begins before any is there.

    `written` counts the rows, of which `rows_in` says how many a portion had.
    """
    packer, written = packer or Packer(), written or Written()
    yield packer.begin(writer.start())
    async for portion in portions:
        piece = await asyncio.to_thread(_packed, packer, write, portion)
        written.rows += rows_in(portion)
        yield piece
    if further is not None:
        async for piece in further:
            yield packer.add(piece)
    yield packer.end(await asyncio.to_thread(writer.end))


def results_file(
    reader: Reader,
    runs: Iterable[RunSnapshot],
    chosen: ResultFilter,
    result_keys: Sequence[str],
    writer: Writer,
    *,
    shape: Shape,
    packer: Packer | None = None,
    further: AsyncIterator[bytes] | None = None,
    written: Written | None = None,
) -> AsyncIterator[bytes]:
    """A file with the results of `runs`, one after another, as they are; `written` counts them.

    Raises OrderChangedError, so that the file breaks off, if inputs got their order meanwhile.
    `app.export.result_set` makes more of them.
    """
    if shape == "record" and isinstance(writer, LineWriter):
        lines = run_by_run(reader, runs, lambda run: _lines(reader, run, chosen, result_keys))
        return file_of(lines, writer.lines, writer, packer, written=written)
    if shape == "flat" and isinstance(writer, ParquetWriter):
        some = run_by_run(reader, runs, lambda run: _unparsed(reader, run, chosen, result_keys))
        return file_of(
            some, writer.results, writer, packer, written=written, rows_in=_rows_in_unparsed
        )
    unread = run_by_run(reader, runs, lambda run: _unread(reader, run, chosen, result_keys))
    return file_of(
        unread,
        _unread_written(writer, shape),
        writer,
        packer,
        further=further,
        written=written,
        rows_in=_rows_in_unread,
    )


async def _unread(
    reader: Reader, run: RunSnapshot, chosen: ResultFilter, result_keys: Sequence[str]
) -> AsyncIterator[list[UnreadResults | list[Result]]]:
    """What `results` gives, read while it is written where nothing else is done with it."""
    if run.since is not None:
        async for portion in results(reader, run, chosen, result_keys):
            yield [portion]
        return
    async for callbacks in _callbacks(reader, run, chosen):
        yield [UnreadResults(run.run_uid, callback, result_keys) for callback in callbacks]
    async for portion in _from_outputs(reader, run, chosen, START):
        yield [portion]


def _rows_in_unread(portion: Sequence[UnreadResults | list[Result]]) -> int:
    return sum(one.rows if isinstance(one, UnreadResults) else len(one) for one in portion)


async def _lines(
    reader: Reader, run: RunSnapshot, chosen: ResultFilter, result_keys: Sequence[str]
) -> AsyncIterator[list[bytes]]:
    """What `results` gives, as lines of JSON."""
    if run.is_respelled:
        async for portion in results(reader, run, chosen, result_keys):
            yield await asyncio.to_thread(record_lines, portion)
        return
    if run.since is not None:
        async for lines in _new_lines(reader, run, chosen, result_keys):
            yield lines
        return
    async for callbacks in _callbacks(reader, run, chosen):
        yield await asyncio.to_thread(callback_lines, run.run_uid, callbacks, result_keys)
    async for portion in _from_outputs(reader, run, chosen, START):
        yield await asyncio.to_thread(record_lines, portion)


async def keyed_lines(
    reader: Reader,
    run: RunSnapshot,
    chosen: ResultFilter,
    result_keys: Sequence[str],
    skim: Skim | None,
) -> AsyncIterator[list[KeyedLine]]:
    """What `results` gives, as lines of JSON, each with what is to be skimmed, if anything."""
    if run.is_respelled:
        async for portion in results(reader, run, chosen, result_keys):
            yield await asyncio.to_thread(_keyed, portion)
        return
    async for callbacks in _callbacks(reader, run, chosen):
        yield await asyncio.to_thread(_keyed_cut, run.run_uid, callbacks, result_keys, skim)
    async for portion in _from_outputs(reader, run, chosen, START):
        yield await asyncio.to_thread(_keyed, portion)


def _keyed(results: Sequence[Result]) -> list[KeyedLine]:
    return list(map(KeyedLine, record_lines(results), [result.data for result in results]))


def _keyed_cut(
    run_uid: str,
    callbacks: Sequence[CountedCallback],
    result_keys: Sequence[str],
    skim: Skim | None,
) -> list[KeyedLine]:
    lines = callback_lines(run_uid, callbacks, result_keys)
    if skim is None:
        return list(map(KeyedLine, lines))
    return list(map(KeyedLine, lines, [skimmed.data for skimmed in skim.results_in(callbacks)]))


async def _unparsed(
    reader: Reader, run: RunSnapshot, chosen: ResultFilter, result_keys: Sequence[str]
) -> AsyncIterator[list[UnparsedResults | Result]]:
    """What `results` gives, parsed only where it has to be."""
    if run.since is not None:
        async for portion in results(reader, run, chosen, result_keys):
            yield [*portion]
        return
    async for callbacks in _callbacks(reader, run, chosen):
        yield await asyncio.to_thread(left_unparsed, run.run_uid, callbacks, result_keys)
    async for portion in _from_outputs(reader, run, chosen, START):
        yield [*portion]


def _rows_in_unparsed(portion: Sequence[object]) -> int:
    return sum(len(one.data) if isinstance(one, UnparsedResults) else 1 for one in portion)


def _unread_written(
    writer: Writer, shape: Shape
) -> Callable[[Iterable[UnreadResults | Sequence[Result]]], bytes]:
    if shape == "flat" and isinstance(writer, TableWriter):
        return unread_lines(writer)
    make = flat_result if shape == "flat" else result_record
    return lambda portion: writer.rows(map(make, chain.from_iterable(portion)))


def _packed(packer: Packer, write: Callable[[list[Row]], bytes], portion: list[Row]) -> bytes:
    return packer.add(write(portion))


def inputs_file(
    reader: Reader,
    run: RunSnapshot,
    chosen: InputFilter,
    writer: Writer,
    *,
    shape: Shape,
    packer: Packer | None = None,
    further: AsyncIterator[bytes] | None = None,
) -> AsyncIterator[bytes]:
    """A file with the inputs of a run. Raises OrderChangedError as `results_file` does."""
    rows = run_by_run(reader, [run], lambda run: input_records(reader, run, chosen))
    return file_of(rows, inputs_written(writer, shape), writer, packer, further=further)


async def input_records(
    reader: Reader, run: RunSnapshot, chosen: InputFilter
) -> AsyncIterator[list[Record]]:
    """The inputs of a run in export order, in portions."""
    after = b""
    while views := await reader.inputs(run, chosen, after=after, limit=PORTION_INPUTS):
        yield [input_record(run.run_uid, view) for view in views]
        after = views[-1].order_key


def inputs_written(writer: Writer, shape: Shape) -> Callable[[Iterable[Record]], bytes]:
    """Writes records of inputs in a shape."""
    if shape == "record":
        return writer.rows
    if shape == "inputs":
        if isinstance(writer, LineWriter):
            return lambda records: writer.rows(map(given_input, records))
        if isinstance(writer, TableWriter):
            return given_lines(writer)
        return lambda records: writer.rows(map(flat_given, records))
    if isinstance(writer, TableWriter):
        return input_lines(writer)
    return lambda records: writer.rows(map(flat_input, records))


def result_columns(fields: Fields, shape: Shape = "flat") -> Columns:
    """The columns of a table of results, from the catalogue."""
    if shape == "record":
        return typed(RESULT_COLUMNS)
    return RESULTS.columns(fields)


def input_columns(fields: Fields, shape: Shape = "flat") -> Columns:
    """The columns of a table of inputs: what was given first, to be given again."""
    if shape == "record":
        return typed(INPUT_COLUMNS)
    if shape == "inputs":
        return opened_columns(fields, GIVEN_SECTIONS) or typed(["custom_data"])
    return opened_columns(fields, INPUT_SECTIONS) | typed(INPUT_OWN_COLUMNS)
