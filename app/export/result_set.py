"""Result sets: what is made of the results of some runs, by stages that each do one thing.

Results are chosen, then told apart (`distinct`), then unwound, then put beside their inputs, and
at last come the fields that are wanted. A format is handed columns and rows, and knows of none
of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from app.canonical import Json
from app.export.chosen_fields import (
    ChosenFields,
    SelectionError,
    columns_of,
    places_of,
    unknown_fields,
)
from app.export.column_types import Columns
from app.export.compression import Packer
from app.export.distinct import KEEPERS, Distinct, Keeper, Row
from app.export.formats import LineWriter, Writer
from app.export.joining import joined
from app.export.keys import KeyOf, auto_key, key_by, key_fields
from app.export.layouts import JOINED, RESULTS, UNWOUND, UNWOUND_JOINED, Joined, Layout
from app.export.records import Result, typed
from app.export.skimming import Skim, Skimmed
from app.export.stream import (
    Written,
    file_of,
    keyed_lines,
    results,
    results_file,
    run_by_run,
    skimmed,
)
from app.export.table import Shape, TableWriter, row_lines
from app.export.unwinding import unwound, unwound_fields
from app.fields import parts
from app.record import Record
from app.store.reader import Reader
from app.store.views import Fields, InputFilter, ResultFilter, RunSnapshot

AUTO = "auto"
PORTION_ROWS = 1_000
"""Of unwound results, of which there may be many times as many as results."""

ResultRow = Result | Joined


@dataclass(frozen=True, slots=True)
class Selection:
    """What is made of results; by default nothing. Names are those of columns."""

    fields: tuple[str, ...] = ()
    """The only ones that are wanted, in this order; each text may hold several, with commas."""
    omit: tuple[str, ...] = ()
    """Those that are not, likewise."""
    distinct: Distinct | None = None
    unwind: str | None = None
    """A list in the data, of which each element becomes a row."""
    with_inputs: bool = False
    """Whether results stand beside their inputs, those without results included."""


ALL = Selection()


class ResultSet:
    """The rows of some runs and their columns, for a file of any format."""

    def __init__(
        self,
        runs: Sequence[RunSnapshot],
        chosen: ResultFilter,
        fields: Fields,
        result_keys: Sequence[str],
        selection: Selection = ALL,
        *,
        folder: Path | None = None,
    ) -> None:
        """`fields` is the catalogue of `runs`; `folder` is for files that go away by themselves.

        Raises SelectionError for what cannot be had of them.
        """
        self.runs = runs
        self._chosen = chosen
        self._result_keys = result_keys
        self._selection = selection
        self._folder = folder
        self._value_of = _value_of(selection.distinct, fields)
        if selection.with_inputs:
            _refuse_with_inputs(selection, chosen)
        self._unwound: tuple[str, ...] = ()
        if selection.unwind is not None:
            self._unwound, fields = _unwinding(selection.unwind, fields)
        self._layout = _layout_of(selection)
        self._names: ChosenFields | None = None
        self._columns = self._layout.columns(fields)
        if selection.fields or selection.omit:
            self._names = ChosenFields(
                self._layout, self._columns, selection.fields, selection.omit
            )
            self._columns = self._names.columns

    def columns(self, shape: Shape) -> Columns:
        """The columns of a table with these rows."""
        if shape == "flat":
            return self._columns
        return typed(
            self._layout.record_columns if self._names is None else self._names.record_columns()
        )

    def maker(self, shape: Shape) -> Callable[[Any], Record]:
        """Makes a row into what a writer of JSON takes."""
        layout, columns = self._layout, self.columns(shape)
        if shape == "flat":
            if self._names is None:
                return layout.flat
            return lambda row: _picked(layout.flat(row), columns)
        if self._names is None:
            return lambda row: layout.record(row, layout.values(row))
        prune = self._names.pruned()
        return lambda row: _picked(layout.record(row, prune(layout.values(row))), columns)

    def written(self, writer: Writer, shape: Shape) -> Callable[[Iterable[ResultRow]], bytes]:
        """Writes rows."""
        if shape == "flat" and isinstance(writer, TableWriter):
            return row_lines(writer, self._layout)
        make = self.maker(shape)
        return lambda rows: writer.rows(map(make, rows))

    def file(
        self,
        reader: Reader,
        writer: Writer,
        *,
        shape: Shape,
        packer: Packer | None = None,
        further: AsyncIterator[bytes] | None = None,
        written: Written | None = None,
    ) -> AsyncIterator[bytes]:
        """All of it as a file, and what is `further` in it; `writer` has the columns of this shape.

        `written` counts the rows. Raises OrderChangedError, so that the file breaks off, if
        inputs got their order meanwhile.
        """
        if self._selection == ALL:
            return results_file(
                reader,
                self.runs,
                self._chosen,
                self._result_keys,
                writer,
                shape=shape,
                packer=packer,
                further=further,
                written=written,
            )
        if shape == "record" and isinstance(writer, LineWriter) and self._is_only_distinct:
            lines = self._distinct(reader, self._kept_lines)
            return file_of(lines, writer.lines, writer, packer, further=further, written=written)
        write = self.written(writer, shape)
        return file_of(
            self.portions(reader), write, writer, packer, further=further, written=written
        )

    @property
    def _is_only_distinct(self) -> bool:
        """Whether rows are results as they are, known by some of their data."""
        return self._selection == Selection(distinct=self._selection.distinct) and all(
            self._key_fields(run) is not None and run.since is None for run in self.runs
        )

    def portions(self, reader: Reader) -> AsyncIterator[list[ResultRow]]:
        """The rows in export order, in portions. Raises OrderChangedError, see `file`."""
        return self._distinct(reader, self._rows)

    async def _distinct(
        self,
        reader: Reader,
        rows_of: Callable[[Reader, Keeper | None, RunSnapshot], AsyncIterator[list[Any]]],
    ) -> AsyncIterator[list[Any]]:
        keeper = self._keeper()
        try:
            if keeper is not None and keeper.looks_ahead:
                async for _ in run_by_run(reader, self.runs, partial(self._noted, reader, keeper)):
                    pass
            async for portion in run_by_run(reader, self.runs, partial(rows_of, reader, keeper)):
                yield portion
            if keeper is not None:
                keeper.finish()
        finally:
            if keeper is not None:
                keeper.close()

    async def _kept_lines(
        self, reader: Reader, keeper: Keeper | None, run: RunSnapshot
    ) -> AsyncIterator[list[bytes]]:
        """The results of one run that are kept, as lines of JSON."""
        fields = self._key_fields(run)
        # Whoever has looked ahead needs hardly any key again.
        needs_keys = fields is not None and keeper is not None and not keeper.looks_ahead
        skim = Skim(self._result_keys, fields or ()) if needs_keys else None
        lines = keyed_lines(reader, run, self._chosen, self._result_keys, skim)
        if keeper is not None:
            async for kept in _kept(lines, keeper, self._key_of(run)):
                yield [one.line for one in kept]

    def _rows(
        self, reader: Reader, keeper: Keeper | None, run: RunSnapshot
    ) -> AsyncIterator[list[Any]]:
        """The rows of one run."""
        rows = self._results(reader, run)
        if keeper is not None:
            rows = _kept(rows, keeper, self._key_of(run))
        if self._unwound:
            rows = _unwound(rows, self._unwound)
        if not self._selection.with_inputs:
            return rows
        chosen = InputFilter(input_key=self._chosen.input_key, custom=self._chosen.custom)
        return joined(reader, run, chosen, rows)

    def _results(self, reader: Reader, run: RunSnapshot) -> AsyncIterator[list[Result]]:
        return results(reader, run, self._chosen, self._result_keys)

    def _keeper(self) -> Keeper | None:
        distinct = self._selection.distinct
        if distinct is None:
            return None
        chosen = self._chosen
        is_all = not (chosen.names_inputs or chosen.is_by_time)
        expected = sum(run.results for run in self.runs) if is_all else 0
        return KEEPERS[distinct.keep](expected=expected, folder=self._folder)

    def _key_of(self, run: RunSnapshot) -> KeyOf:
        return auto_key(run.action_name) if self._value_of is None else key_by(self._value_of)

    async def _noted(
        self, reader: Reader, keeper: Keeper, run: RunSnapshot
    ) -> AsyncIterator[list[None]]:
        key_of, fields = self._key_of(run), self._key_fields(run)
        portions: AsyncIterator[Sequence[Result | Skimmed]] = self._results(reader, run)
        if fields is not None and run.since is None:
            skim = Skim(self._result_keys, fields, with_text=keeper.needs_text)
            portions = skimmed(reader, run, self._chosen, skim)
        async for portion in portions:
            await asyncio.to_thread(keeper.note, portion, key_of)
            yield []

    def _key_fields(self, run: RunSnapshot) -> Sequence[str] | None:
        """The fields of the data that a key is made of; None if it is made of others."""
        if self._value_of is None:
            return key_fields(run.action_name)
        distinct = self._selection.distinct
        section, path = places_of(distinct.on if distinct else "", RESULTS)[0]
        return path[:1] if section == "data" and path != ("value",) else None


async def _kept(
    portions: AsyncIterator[list[Row]], keeper: Keeper, key_of: KeyOf
) -> AsyncIterator[list[Row]]:
    async for portion in portions:
        if kept := await asyncio.to_thread(keeper.kept, portion, key_of):
            yield kept


async def _unwound(
    portions: AsyncIterator[list[Result]], path: Sequence[str]
) -> AsyncIterator[list[Result]]:
    async for portion in portions:
        rows = unwound(path, portion)
        while some := await asyncio.to_thread(_some, rows):
            yield some


def _some(rows: Iterator[Result]) -> list[Result]:
    return list(islice(rows, PORTION_ROWS))


def _layout_of(selection: Selection) -> Layout[Any]:
    if selection.with_inputs:
        return UNWOUND_JOINED if selection.unwind is not None else JOINED
    return UNWOUND if selection.unwind is not None else RESULTS


def _picked(row: Record, columns: Iterable[str]) -> Record:
    return {name: row[name] for name in columns if name in row}


def _refuse_with_inputs(selection: Selection, chosen: ResultFilter) -> None:
    if selection.distinct is not None:
        raise SelectionError(
            "join",
            "goes with no distinct_on: each input is to have its own results beside it, also if"
            " another one has the same",
        )
    if chosen.is_by_time:
        raise SelectionError(
            "join",
            "goes with no received_after or received_before: inputs whose results came at another"
            " time would look as if they had none",
        )


def _value_of(distinct: Distinct | None, fields: Fields) -> Callable[[Any], Json] | None:
    """What of a result is its key; None for `auto`. Raises SelectionError."""
    if distinct is None or distinct.on == AUTO:
        return None
    columns = RESULTS.columns(fields)
    if not columns_of(distinct.on, columns) and columns.keys() - set(RESULTS.own):
        raise SelectionError("distinct_on", unknown_fields([distinct.on], columns))
    section, path = places_of(distinct.on, RESULTS)[0]
    if not section:
        place = RESULTS.own.index(distinct.on)
        return lambda result: RESULTS.own_values(result)[place]
    return partial(_value_at, section, path)


def _value_at(section: str, path: Sequence[str], result: Result | Skimmed) -> Json:
    value = getattr(result, section)
    if value.__class__ is not dict and path == ("value",):
        return value
    for key in path:
        if value.__class__ is not dict:
            return None
        value = value.get(key)
    return value


def _unwinding(name: str, fields: Fields) -> tuple[tuple[str, ...], Fields]:
    """The keys that lead to a list, and the catalogue once it is unwound. Raises SelectionError."""
    known = fields.kinds["data"]
    if not known:
        return parts(name), fields
    if name not in known and not columns_of(name, known):
        raise SelectionError("unwind", unknown_fields([name], known))
    try:
        return parts(name), unwound_fields(fields, name)
    except ValueError as error:
        raise SelectionError("unwind", f"{name} {error}") from None
