"""CSV: RFC 4180, and what spreadsheets want instead.

By hand, since the `csv` module looks at every single character: that alone takes longer than
all the rest of a row. Tests compare both.
"""

import codecs
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.canonical import Json, canonical
from app.export.table import Shape, TableWriter

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}

_RUN_BY_SPREADSHEETS = frozenset("=+-@\t\r")
_NUMBER = re.compile(r"[+-]([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How a CSV file differs from RFC 4180; by default not at all."""

    has_bom: bool = False
    """Begins with U+FEFF, by which Excel knows UTF-8."""
    separator: str = ","
    is_guarded: bool = False
    """Cells that a spreadsheet would run have an apostrophe before them; see `guarded`."""


class CsvWriter(TableWriter[str]):
    """A header, CRLF, quotes where needed. Lists and objects are cells of JSON."""

    media_type: ClassVar[str] = "text/csv; charset=utf-8"
    extension: ClassVar[str] = "csv"
    shape: ClassVar[Shape] = "flat"
    is_compressible: ClassVar[bool] = True

    def __init__(self, columns: Collection[str], options: CsvOptions = CsvOptions()) -> None:
        super().__init__(columns)
        self._options = options

    def start(self) -> bytes:
        """The header."""
        header = self.lines([self.as_cells(list(self.columns))])
        return codecs.BOM_UTF8 + header if self._options.has_bom else header

    def as_cells(self, values: Sequence[Json]) -> Sequence[str]:
        """Text as it is, other values as JSON, null as nothing; in quotes where need be."""
        separator, is_guarded = self._options.separator, self._options.is_guarded
        cells = []
        for value in values:
            kind = value.__class__
            if kind is str:
                text = guarded(value) if is_guarded else value
                if '"' in text or separator in text or "\n" in text or "\r" in text:
                    text = '"' + text.replace('"', '""') + '"'
            elif value is None:
                text = ""
            elif kind is int:
                text = str(value)
            elif kind is bool:
                text = "true" if value else "false"
            else:
                json = canonical(value)
                doubled = json.replace(b'"', b'""')  # quicker in bytes, of which all are alike
                text = doubled.decode()
                if len(doubled) > len(json) or separator in text:  # JSON has no line ends
                    text = f'"{text}"'
            cells.append(text)
        return cells

    def lines(self, lines: Iterable[Sequence[str]]) -> bytes:
        """A line each."""
        join = self._options.separator.join
        # A line of one empty cell would be no line to some readers. Each line is encoded by
        # itself, since one emoji makes a text four times as large.
        return b"".join([((join(line) or '""') + "\r\n").encode() for line in lines])

    def end(self) -> bytes:
        """Nothing."""
        return b""


def guarded(text: str) -> str:
    """`text`, with an apostrophe before it if a spreadsheet would take it for a formula.

    Those begin with = + - @, tab or CR. Numbers with a sign, such as -5 or +3.2, stay.
    """
    if text[:1] in _RUN_BY_SPREADSHEETS and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
