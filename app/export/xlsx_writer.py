"""XLSX: sheets of a header and rows, streamed, that say in Excel what the other formats say.

Each text stands in its cell, not in a table of all texts, which would have to be held.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import ClassVar

from app.canonical import Json, canonical
from app.export.table import Shape, SheetWriter
from app.export.xlsx_package import BOLD, SHEET_START, Package, sheet_end

ROWS_MAX = 1_048_576
COLUMNS_MAX = 16_384
_UNITS_MAX = 32_767
"""Of UTF-16 in a cell. These three are Excel's."""
_SHEET_BYTES_MAX = 1_500_000_000
"""See `Package`; a portion of rows may come on top."""

_ROWS_AT_ONCE = 32
_INTEGER_LIMIT = 10**15
_REAL_MIN, _REAL_MAX = 2.2250738585073e-308, 9.99999999999999e307
"""Excel shows 15 digits of a number, and has none smaller or larger."""

_MEANINGS = (
    (b"&", b"&amp;"),
    (b"<", b"&lt;"),
    (b">", b"&gt;"),
    (b"\r", b"&#13;"),
    (b"\x01", b'<row r="'),
    (b"\x02", b'">'),
    (b"\x03", b'<c r="'),
    (b"\x04", b'" t="inlineStr"><is><t>'),
    (b"\x05", b'" t="inlineStr"><is><t xml:space="preserve">'),
    (b"\x06", b'" s="%d" t="inlineStr"><is><t xml:space="preserve">' % BOLD),
    (b"\x07", b"</t></is></c>"),
    (b"\x08", b'"><v>'),
    (b"\x0b", b'" t="b"><v>'),
    (b"\x0c", b"</v></c>"),
    (b"\x0e", b"</row>"),
)
"""What becomes of characters in texts, then of marks that rows are put together with: so a portion
is escaped and made XML as a whole, in a few passes in C. They are single characters, since for
those Python looks much quicker."""
_MARKS = 3
"""Of a row, and of each cell in it."""

_CONTROLS = bytes(code for code in range(32) if chr(code) not in "\t\n\r")
_NO_XML = "[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
_UNSPEAKABLE = re.compile(_NO_XML)
_LIKE_AN_ESCAPE = re.compile(f"_(?=x[0-9A-Fa-f]{{4}}(?:_|{_NO_XML}))")


class XlsxWriter(SheetWriter[str]):
    """Texts stay texts, and numbers are such where Excel shows all of their digits.

    Lists and objects are cells of JSON. A sheet that is full goes on in another one with the same
    header. A text that is too long for a cell ends in a mark that says so.
    """

    media_type: ClassVar[str] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    extension: ClassVar[str] = "xlsx"
    shape: ClassVar[Shape] = "flat"
    is_compressible: ClassVar[bool] = False

    def __init__(
        self, columns: Collection[str], name: str = "Results", *, rows_max: int = ROWS_MAX
    ) -> None:
        """`name` is the first sheet's; no sheet has more than `rows_max` rows with its header."""
        super().__init__(columns)
        self.rows_written = 0
        self.cells_cut = 0
        self._name = name
        self._rows_max = rows_max
        self._package = Package()
        self._number = 0
        """Of the sheet, among those of its name."""
        self._row = 0
        self._bytes = 0
        self._starts: Sequence[str] = ()

    def start(self) -> bytes:
        """What comes first in the archive, and the header."""
        self._begin()
        return self._package.taken()

    def sheet(self, name: str, columns: Collection[str]) -> bytes:
        """End the sheet, and begin another one."""
        self._end()
        self._name, self._number, self.columns = name, 0, columns
        self._begin()
        return self._package.taken()

    def as_cells(self, values: Sequence[Json]) -> Sequence[str]:
        """Each value behind a mark of how it is written; nothing for null."""
        return [
            (f"\x04{value}\x07" if value.strip() == value else f"\x05{value}\x07")
            if value.__class__ is str
            else ""
            if value is None
            else _cell(value)
            for value in values
        ]

    def lines(self, lines: Iterable[Sequence[str]]) -> bytes:
        """A row each."""
        left = iter(lines)
        # Some at a time, since what was just made is near at hand.
        while rows := list(islice(left, min(_ROWS_AT_ONCE, self._rows_max - self._row) or 1)):
            if self._row >= self._rows_max or self._bytes > _SHEET_BYTES_MAX:
                self._end()
                self._begin()
            self._write(rows)
            self.rows_written += len(rows)
        return self._package.taken()

    def end(self) -> bytes:
        """The list of sheets, without which there is no archive."""
        self._end()
        self._package.end()
        return self._package.taken()

    def _begin(self) -> None:
        self._number += 1
        self._row = 0
        self._starts = [f"\x03{letters(number)}" for number in range(1, len(self.columns) + 1)]
        name = self._name if self._number == 1 else f"{self._name} {self._number}"
        self._package.begin_sheet(name)
        self._bytes = self._package.write(SHEET_START.encode())
        self._write([self.as_cells(list(self.columns))], is_header=True)

    def _end(self) -> None:
        last = letters(len(self.columns))
        self._package.write(sheet_end(f"A1:{last}{self._row}").encode())
        self._package.end_sheet(f"$A$1:${last}${self._row}")

    def _write(self, rows: Sequence[Sequence[str]], *, is_header: bool = False) -> None:
        first = self._row + 1
        xml = b"".join([self._marked(str(place), row) for place, row in enumerate(rows, first)])
        if is_header:
            xml = xml.replace(b"\x04", b"\x06").replace(b"\x05", b"\x06")
        for mark, meaning in _MEANINGS:
            xml = xml.replace(mark, meaning)
        self._row += len(rows)
        self._bytes += self._package.write(xml)

    def _marked(self, number: str, row: Sequence[str], *, is_fitting: bool = False) -> bytes:
        """A row with marks for XML. What a cell cannot hold as it is gets escaped, or cut."""
        cells = [
            f"{start}{number}{cell}" for start, cell in zip(self._starts, row, strict=True) if cell
        ]
        text = "".join(cells)
        line = f"\x01{number}\x02{text}\x0e".encode()
        if is_fitting or not (
            len(text) > _UNITS_MAX // 2
            or "_x" in text
            or len(line) - len(line.translate(None, _CONTROLS)) != _MARKS + _MARKS * len(cells)
            or (b"\xef" in line and (b"\xef\xbf\xbe" in line or b"\xef\xbf\xbf" in line))
        ):
            return line
        return self._marked(number, list(map(self._fitting, row)), is_fitting=True)

    def _fitting(self, cell: str) -> str:
        """As Excel writes what XML cannot, and what looks as if it had been written so."""
        if not cell:
            return cell
        text = _LIKE_AN_ESCAPE.sub("_x005F_", self._cut(cell[1:-1]))
        text = _UNSPEAKABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
        return f"{cell[0]}{text}{cell[-1]}"

    def _cut(self, text: str) -> str:
        if len(text) <= _UNITS_MAX // 2:
            return text
        units = text.encode("utf-16-le")
        if len(units) <= 2 * _UNITS_MAX:
            return text
        self.cells_cut += 1
        mark = f"… [cut: {len(text):,} characters in all, which ndjson, json and csv have]"
        kept = units[: 2 * (_UNITS_MAX - len(mark))]
        return kept.decode("utf-16-le", "ignore") + mark  # without the half of a character


def _cell(value: Json) -> str:
    kind = value.__class__
    if kind is bool:
        return "\x0b1\x0c" if value else "\x0b0\x0c"
    if (kind is int and -_INTEGER_LIMIT < value < _INTEGER_LIMIT) or (
        kind is float and _is_shown(value)
    ):
        return f"\x08{value!r}\x0c"
    return f"\x04{canonical(value).decode()}\x07"


def _is_shown(value: float) -> bool:
    """Whether Excel shows all digits of a number."""
    is_in_range = not value or _REAL_MIN < abs(value) <= _REAL_MAX
    return is_in_range and float(f"{value:.15g}") == value


def letters(number: int) -> str:
    """What Excel calls a column, from 1 on: A to Z, then AA."""
    name = ""
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(ord("A") + letter) + name
    return name
