"""CSV: RFC 4180, and what spreadsheets want instead.

By hand, since the `csv` module looks at every single character: that alone takes longer than
all the rest of a row. Tests compare both.
"""

import codecs
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from types import NoneType
from typing import ClassVar

from app.canonical import Json, canonical_lines
from app.export.plans import OpensUpError, Plans, Poured
from app.export.table import Shape, TableWriter

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}

_RUN_BY_SPREADSHEETS = frozenset("=+-@\t\r")
_TEXTS, _LISTS, _SCALARS = {str}, {list}, {int, float, bool}
_ROWS_AT_ONCE = 50
"""So few that they are still in the processor's cache when they are written."""
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
                (text,) = self._json((value,))
            cells.append(text)
        return cells

    def planned(self, rows: Iterable[Poured], plans: Plans[str]) -> bytes:
        """As any table does it row by row; here it is column by column, where rows are alike.

        What a column holds is mostly of one type, and without anything to be quoted: that can be
        said of all its values at once.
        """
        left, join = iter(rows), self._options.separator.join
        pieces = []
        while some := list(islice(left, _ROWS_AT_ONCE)):
            pieces.append(self._ended(map(join, plans.many(some, self._column))))
        return b"".join(pieces)

    def _column(self, values: Sequence[Json]) -> Sequence[str]:
        """As `as_cells`, quicker where values are alike."""
        try:
            return self._texts(values, "".join(values))
        except TypeError:  # not all of them are texts
            kinds = set(map(type, values))
        has_nulls = NoneType in kinds
        kinds.discard(NoneType)
        if not kinds:
            return [""] * len(values)
        if kinds == _TEXTS:
            texts = ["" if one is None else one for one in values]
            return self._texts(texts, "".join(texts))
        if kinds <= _SCALARS:
            texts = canonical_lines(values).decode().split("\n")
            return ["" if text == "null" else text for text in texts] if has_nulls else texts
        if kinds == _LISTS and not has_nulls:
            return self._json(values)
        if dict in kinds and any(one.__class__ is dict and one for one in values):
            raise OpensUpError
        return self.as_cells(values)

    def _texts(self, texts: Sequence[str], together: str) -> Sequence[str]:
        """The cells of texts; `together` is all of them."""
        if self._options.is_guarded:
            texts = list(map(guarded, texts))
        separator = self._options.separator
        if '"' in together or "\n" in together or "\r" in together:
            return [
                '"' + text.replace('"', '""') + '"'
                if '"' in text or separator in text or "\n" in text or "\r" in text
                else text
                for text in texts
            ]
        if separator in together:
            return [f'"{text}"' if separator in text else text for text in texts]
        return texts

    def _json(self, values: Sequence[Json]) -> list[str]:
        """The cells of lists and objects, and of other numbers."""
        # Quotes are doubled in bytes, of which all are alike; and JSON has no line ends.
        texts = canonical_lines(values).replace(b'"', b'""').decode().split("\n")
        separator = self._options.separator
        return [f'"{text}"' if '"' in text or separator in text else text for text in texts]

    def lines(self, lines: Iterable[Sequence[str]]) -> bytes:
        """A line each."""
        return self._ended(map(self._options.separator.join, lines))

    def _ended(self, lines: Iterable[str]) -> bytes:
        # A line of one empty cell would be no line to some readers. Each line is encoded by
        # itself, since one emoji makes a text four times as large.
        return b"".join([((line or '""') + "\r\n").encode() for line in lines])

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
