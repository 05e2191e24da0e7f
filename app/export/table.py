"""Tables: formats whose rows have a cell for each column, and how rows get to their cells."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import ClassVar, Generic, Literal, TypeVar

from app.canonical import Json
from app.export.layouts import RESULTS, Layout, Row
from app.export.plans import Plans, Poured
from app.export.records import (
    GIVEN_SECTIONS,
    INPUT_OWN_COLUMNS,
    INPUT_SECTIONS,
    Result,
    input_own,
)
from app.export.unparsed import UnreadResults
from app.record import Record

Shape = Literal["record", "flat", "inputs"]
"""`inputs` is for inputs alone: as they are given to Edges."""
Cell = TypeVar("Cell")


class TableWriter(ABC, Generic[Cell]):
    """A format of `app.export.formats` whose rows have a cell for each column."""

    media_type: ClassVar[str]
    extension: ClassVar[str]
    shape: ClassVar[Shape]
    is_compressible: ClassVar[bool]

    def __init__(self, columns: Collection[str]) -> None:
        """A format with types takes `Columns`; others can do with names."""
        self.columns = columns

    @abstractmethod
    def start(self) -> bytes:
        """What comes before the first row."""

    @abstractmethod
    def as_cells(self, values: Sequence[Json]) -> Sequence[Cell]:
        """As many cells as there are values, whichever columns they are of."""

    @abstractmethod
    def lines(self, lines: Iterable[Sequence[Cell]]) -> bytes:
        """Some rows, as cells in the order of the columns."""

    def planned(self, rows: Iterable[Poured], plans: Plans[Cell]) -> bytes:
        """Some rows, each as its sections and its own values."""
        return self.lines(plans.cells(sections, own) for sections, own in rows)

    def rows(self, rows: Iterable[Record]) -> bytes:
        """Some rows by the names of their columns; the rest of them is left out."""
        return self.lines([self.as_cells([row.get(name) for name in self.columns]) for row in rows])

    @abstractmethod
    def end(self) -> bytes:
        """What makes the file whole; never written if the rows broke off."""


class SheetWriter(TableWriter[Cell]):
    """A format whose files can hold several tables, one after another."""

    rows_written: int
    """In all tables so far, without headers."""
    cells_cut: int
    """How many cells so far have only the beginning of what they should, and say so."""

    @abstractmethod
    def sheet(self, name: str, columns: Collection[str]) -> bytes:
        """End the table, and begin another one: from now on, `columns` and rows are its."""


def row_lines(writer: TableWriter[Cell], layout: Layout[Row]) -> Callable[[Iterable[Row]], bytes]:
    """Writes rows in their flat shape: as `writer.rows` would of `layout.flat`."""
    plans = Plans(writer.columns, layout.sections, layout.own, writer.as_cells)
    values, own_values = layout.values, layout.own_values
    return lambda rows: writer.planned(((values(row), own_values(row)) for row in rows), plans)


def result_lines(writer: TableWriter[Cell]) -> Callable[[Iterable[Result]], bytes]:
    """Writes results in their flat shape: as `writer.rows` would of `flat_result`."""
    return row_lines(writer, RESULTS)


def unread_lines(
    writer: TableWriter[Cell],
) -> Callable[[Iterable[UnreadResults | Sequence[Result]]], bytes]:
    """As `result_lines`, of results that are read meanwhile."""
    plans = Plans(writer.columns, RESULTS.sections, RESULTS.own, writer.as_cells)
    return lambda portion: writer.planned(chain.from_iterable(map(_poured, portion)), plans)


def _poured(some: UnreadResults | Sequence[Result]) -> Iterable[Poured]:
    if isinstance(some, UnreadResults):
        return some.poured()
    return ((RESULTS.values(result), RESULTS.own_values(result)) for result in some)


def input_lines(writer: TableWriter[Cell]) -> Callable[[Iterable[Record]], bytes]:
    """Writes records of inputs in their flat shape: as `writer.rows` would of `flat_input`."""
    plans = Plans(writer.columns, INPUT_SECTIONS, INPUT_OWN_COLUMNS, writer.as_cells)
    return lambda records: writer.planned(
        (((record["input"], record["custom_data"]), input_own(record)) for record in records),
        plans,
    )


def given_lines(writer: TableWriter[Cell]) -> Callable[[Iterable[Record]], bytes]:
    """Writes records of inputs as they are given: as `writer.rows` would of `flat_given`."""
    cells = Plans(writer.columns, GIVEN_SECTIONS, (), writer.as_cells).cells
    return lambda records: writer.lines(
        cells((record["input"], record["custom_data"]), ()) for record in records
    )
