"""The ZIP file around the sheets of a workbook, made as it goes: it is never looked at again.

The same sheets give the same bytes: no part has a time of its own.
"""

from typing import IO, Final
from xml.sax.saxutils import quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

_DEFLATE_LEVEL = 1
"""Of rows of results, to 13 % at 240 MB/s. zlib's usual 6 makes 9 % of them, at a third of that."""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"

_CONTENT_TYPES = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    f'relationships+xml"/>'
    # Sheets are what is called .xml, since nobody knows yet how many there will be.
    f'<Default Extension="xml" ContentType="{_CONTENT}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_CONTENT}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_CONTENT}.styles+xml"/>'
    "</Types>"
)
_STYLES = (
    f'<styleSheet xmlns="{_SPREADSHEET}">'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    "<borders><border><left/><right/><top/><bottom/><diagonal/></border></borders>"
    '<cellStyleXfs><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
    '<cellStyles><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)
BOLD: Final = 1
"""The style of a header."""

SHEET_START: Final = (
    f'{_DECLARATION}<worksheet xmlns="{_SPREADSHEET}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    '</sheetView></sheetViews><sheetFormatPr defaultColWidth="18" defaultRowHeight="15"/>'
    "<sheetData>"
)
"""What comes before the rows of a sheet, of which the first stays in sight."""


def sheet_end(area: str) -> str:
    """What comes after the rows of a sheet: filters, and no warnings of numbers that are text."""
    return (
        f'</sheetData><autoFilter ref="{area}"/><ignoredErrors>'
        f'<ignoredError sqref="{area}" numberStoredAsText="1"/></ignoredErrors></worksheet>'
    )


class _Archive(ZipFile):
    """A ZIP file that is left alone if it was not closed, so that it never looks whole."""

    def __del__(self) -> None:
        """Nothing, where others would be closed."""


class _Sink:
    """Where the archive goes: what was written since it was last taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class Package:
    """A workbook as a ZIP file: sheets one after another, then the list of them.

    Without ZIP64, of which Excel says that the file needs repair if it was not written to a disk:
    so no sheet may be larger than 2 GB.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self._archive = _Archive(self._sink, "w", ZIP_DEFLATED, compresslevel=_DEFLATE_LEVEL)
        self._sheets: list[tuple[str, str]] = []
        self._sheet: IO[bytes]
        self._add("[Content_Types].xml", _CONTENT_TYPES)
        self._add("_rels/.rels", _relationships([("officeDocument", "xl/workbook.xml")]))
        self._add("xl/styles.xml", _STYLES)

    def begin_sheet(self, name: str) -> None:
        """Begin the next sheet. Names have at most 31 characters and are unique."""
        self._sheets.append((name, ""))
        # Entries that are opened by name are of 1980-01-01, and other times are not asked for.
        self._sheet = self._archive.open(f"xl/worksheets/sheet{len(self._sheets)}.xml", "w")

    def write(self, xml: bytes) -> int:
        """Go on with the sheet; how many bytes that were."""
        return self._sheet.write(xml)

    def end_sheet(self, absolute_area: str) -> None:
        """The sheet is whole; its filters span this area, such as `$A$1:$C$9`."""
        self._sheet.close()
        self._sheets[-1] = (self._sheets[-1][0], absolute_area)

    def end(self) -> None:
        """The workbook is whole."""
        targets = [("styles", "styles.xml")]
        sheets, names = [], []
        for number, (name, area) in enumerate(self._sheets):
            targets.append(("worksheet", f"worksheets/sheet{number + 1}.xml"))
            sheets.append(
                f'<sheet name={quoteattr(name)} sheetId="{number + 1}" r:id="rId{number + 2}"/>'
            )
            names.append(
                f'<definedName name="_xlnm._FilterDatabase" localSheetId="{number}" hidden="1">'
                f"'{name}'!{area}</definedName>"
            )
        self._add(
            "xl/workbook.xml",
            f'<workbook xmlns="{_SPREADSHEET}" xmlns:r="{_OFFICE}"><sheets>{"".join(sheets)}'
            f"</sheets><definedNames>{''.join(names)}</definedNames></workbook>",
        )
        self._add("xl/_rels/workbook.xml.rels", _relationships(targets))
        self._archive.close()

    def taken(self) -> bytes:
        """What has become of the file since this was last asked."""
        return self._sink.taken()

    def _add(self, name: str, xml: str) -> None:
        with self._archive.open(name, "w") as part:
            part.write(f"{_DECLARATION}{xml}".encode())


def _relationships(targets: list[tuple[str, str]]) -> str:
    """A part that says where others are, by their kinds."""
    return (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
            for number, (kind, target) in enumerate(targets, 1)
        )
        + "</Relationships>"
    )
