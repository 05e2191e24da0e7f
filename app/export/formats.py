"""File formats: each writes the start, rows and end of a file as bytes.

A new format is a class here and a line in `FORMATS`.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, Protocol

from app.canonical import Json, canonical, dumps

Shape = Literal["record", "flat"]


class Writer(Protocol):
    """Makes a file, piece by piece, in constant memory."""

    media_type: ClassVar[str]
    extension: ClassVar[str]
    shape: ClassVar[Shape]
    """The usual one; users may ask for the other."""

    def __init__(self, columns: Sequence[str]) -> None:
        """`columns` names those of the flat shape, in order."""

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

    def __init__(self, columns: Sequence[str]) -> None:
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

    def __init__(self, columns: Sequence[str]) -> None:
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


class CsvWriter:
    """RFC 4180: a header, CRLF, quotes where needed. Lists and objects are cells of JSON."""

    media_type: ClassVar[str] = "text/csv; charset=utf-8"
    extension: ClassVar[str] = "csv"
    shape: ClassVar[Shape] = "flat"

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, lineterminator="\r\n")

    def start(self) -> bytes:
        """The header."""
        self._writer.writerow(self._columns)
        return self._taken()

    def rows(self, rows: Iterable[dict[str, Json]]) -> bytes:
        """A line each."""
        columns = self._columns
        self._writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
        return self._taken()

    def end(self) -> bytes:
        """Nothing."""
        return b""

    def _taken(self) -> bytes:
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text.encode("utf-8")


def _cell(value: Json) -> str | int:
    kind = value.__class__
    if kind is str or kind is int:
        return value  # type: ignore[no-any-return]
    return "" if value is None else canonical(value).decode()


FORMATS: dict[str, type[Writer]] = {
    "ndjson": NdjsonWriter,
    "json": JsonWriter,
    "csv": CsvWriter,
}
