"""CSV as it was written before there were plans: each row walked afresh, cell by cell.

The oracle of `test_csv_writer.py`, and what `make bench` compares with.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping

from app.canonical import Json, canonical
from app.export.records import RESULT_OWN_COLUMNS, Result, data_column
from app.model import timestamp

DEPTH_MAX = 16


def csv_by_walking(columns: Collection[str], results: Iterable[Result]) -> bytes:
    """The rows, without a header."""
    buffer = io.StringIO(newline="")
    rows = (row_by_walking(result) for result in results)
    csv.writer(buffer, lineterminator="\r\n").writerows(
        [[_cell(row.get(name)) for name in columns] for row in rows]
    )
    return buffer.getvalue().encode("utf-8")


def row_by_walking(result: Result) -> dict[str, Json]:
    row = {data_column(name): value for name, value in _section(result.data)}
    row.update((f"custom_data.{name}", value) for name, value in _section(result.custom_data))
    row.update((f"input.{name}", value) for name, value in _section(result.input))
    own = (result.run_uid, result.result_id, timestamp(result.received_ms))
    row.update(zip(RESULT_OWN_COLUMNS, own, strict=True))
    return row


def _section(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        return walk(value, "", DEPTH_MAX)
    return iter(()) if value is None else iter([("value", value)])


def walk(value: Mapping[str, Json], prefix: str, depth: int) -> Iterator[tuple[str, Json]]:
    for key, item in value.items():
        name = key
        if "." in key or "\\" in key:
            name = key.replace("\\", "\\\\").replace(".", "\\.")
        if item.__class__ is dict and item and depth > 1:
            yield from walk(item, f"{prefix}{name}.", depth - 1)
        else:
            yield prefix + name, item


def _cell(value: Json) -> str | int:
    kind = value.__class__
    if kind is str or kind is int:
        return value  # type: ignore[no-any-return]
    return "" if value is None else canonical(value).decode()
