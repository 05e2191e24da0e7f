"""File formats: each writes the start, rows and end of a file as bytes.

A new format is a class here, or a `TableWriter` in a file of its own, and a line in `FORMATS`.
"""

from collections.abc import Collection, Iterable
from typing import ClassVar, Protocol

from app.canonical import Json, dumps
from app.export.column_types import Columns
from app.export.csv_writer import CsvWriter
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


class NdjsonWriter:
    """One JSON object a line."""

    media_type: ClassVar[str] = "application/x-ndjson"
    extension: ClassVar[str] = "ndjson"
    shape: ClassVar[Shape] = "record"
    is_compressible: ClassVar[bool] = True

    def __init__(self, columns: Collection[str]) -> None:
        del columns

    def start(self) -> bytes:
        """Nothing."""
        return b""

    def rows(self, rows: Iterable[dict[str, Json]]) -> bytes:
        """A line each."""
        return b"".join([dumps(row) + b"\n" for row in rows])

    def end(self) -> bytes:
        """Nothing."""
        return b""


class JsonWriter:
    """One JSON array."""

    media_type: ClassVar[str] = "application/json"
    extension: ClassVar[str] = "json"
    shape: ClassVar[Shape] = "record"
    is_compressible: ClassVar[bool] = True

    def __init__(self, columns: Collection[str]) -> None:
        del columns
        self._separator = b"\n"

    def start(self) -> bytes:
        """The opening bracket."""
        return b"["

    def rows(self, rows: Iterable[dict[str, Json]]) -> bytes:
        """An element and a line each."""
        parts: list[bytes] = []
        for row in rows:
            parts += (self._separator, dumps(row))
            self._separator = b",\n"
        return b"".join(parts)

    def end(self) -> bytes:
        """The closing bracket."""
        return b"\n]\n"


FORMATS: dict[str, type[Writer]] = {
    "ndjson": NdjsonWriter,
    "json": JsonWriter,
    "csv": CsvWriter,
    "xlsx": XlsxWriter,
}
