"""Workbooks as openpyxl reads them."""

import io
from typing import Any

import openpyxl
from openpyxl.utils.escape import unescape

Sheets = dict[str, list[list[Any]]]


def sheets_of(file: bytes) -> Sheets:
    """The rows of each sheet, with texts as Excel shows them; None where there is no cell."""
    book = openpyxl.load_workbook(io.BytesIO(file))
    return {
        sheet.title: [
            [unescape(value) if isinstance(value, str) else value for value in row]
            for row in sheet.iter_rows(values_only=True)
        ]
        for sheet in book.worksheets
    }


def records_of(rows: list[list[Any]]) -> list[dict[str, Any]]:
    """The rows of a sheet by its header, without empty cells."""
    header, *others = rows
    return [
        {name: value for name, value in zip(header, row, strict=True) if value is not None}
        for row in others
    ]
