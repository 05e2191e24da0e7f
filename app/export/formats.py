"""File formats: each writes the start, rows and end of a file as bytes.

A new format is a class here, or a `TableWriter` in a file of its own, and a line in `FORMATS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Protocol

from app.canonical import Json, dumps
from app.export.column_types import Columns
from app.export.csv_writer import CsvWriter
from app.export.parquet_writer import ParquetWriter
from app.export.table import Shape
from app.export.xlsx_writer import XlsxWriter


class Writer(Protocol):
    """Makes a file, piece by piece, in constant memory."""

    media_type: ClassVar[str]
    extension: ClassVar[str]
    shape: ClassVar[Shape]
    """The usual one; users may ask for the other."""
    is_compressible: ClassVar[bool]
    """Whether its bytes become fewer by gzip and the like."""

    def __init__(self, columns: Columns) -> None:
        """`columns` are those of the shape that is asked for, in order."""

    def start(self) -> bytes:
        """What comes before the first row."""

    def rows(self, rows: Iterable[dict[str, Json]]) -> bytes:
        """Some rows."""

    def end(self) -> bytes:
        """What makes the file whole; never written if the rows broke off."""


class LineWriter(ABC):
    """A format whose rows are JSON, a line each."""

    media_type: ClassVar[str]
    extension: ClassVar[str]
    shape: ClassVar[Shape] = "record"
    is_compressible: ClassVar[bool] = True

    def __init__(self, columns: Collection[str]) -> None:
        del columns

    @abstractmethod
    def start(self) -> bytes:
        """What comes before the first row."""

    def rows(self, rows: Iterable[dict[str, Json]]) -> bytes:
        """Some rows."""
        return self.lines([dumps(row) for row in rows])

    @abstractmethod
    def lines(self, lines: Sequence[bytes]) -> bytes:
        """Some rows that are JSON already, without line ends."""

    @abstractmethod
    def end(self) -> bytes:
        """What makes the file whole."""


class NdjsonWriter(LineWriter):
    """One JSON object a line."""

    media_type: ClassVar[str] = "application/x-ndjson"
    extension: ClassVar[str] = "ndjson"

    def start(self) -> bytes:
        """Nothing."""
        return b""

    def lines(self, lines: Sequence[bytes]) -> bytes:
        """A line each."""
        return b"\n".join([*lines, b""])

    def end(self) -> bytes:
        """Nothing."""
        return b""


class JsonWriter(LineWriter):
    """One JSON array."""

    media_type: ClassVar[str] = "application/json"
    extension: ClassVar[str] = "json"

    def __init__(self, columns: Collection[str]) -> None:
        super().__init__(columns)
        self._separator = b"\n"

    def start(self) -> bytes:
        """The opening bracket."""
        return b"["

    def lines(self, lines: Sequence[bytes]) -> bytes:
        """An element and a line each."""
        if not lines:
            return b""
        separator, self._separator = self._separator, b",\n"
        return separator + b",\n".join(lines)

    def end(self) -> bytes:
        """The closing bracket."""
        return b"\n]\n"


FORMATS: dict[str, type[Writer]] = {
    "ndjson": NdjsonWriter,
    "json": JsonWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
    "xlsx": XlsxWriter,
}
