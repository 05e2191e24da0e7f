"""Results straight from JSON to Arrow: Arrow's own reader parses, types and lays out at once.

That takes a third of the time of parsing into objects that are taken apart again. It is strict:
what is not exactly of the types that are expected is an error, and then the rows are read the
slower way, which knows about everything. Needs the extra `parquet`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from app.export.arrow_arrays import arrow_type, times
from app.export.column_types import Columns, ColumnType, ListType, Scalar, StructType
from app.export.records import RESULT_SECTIONS, result_field
from app.export.unparsed import UnparsedResults
from app.fields import parts
from app.kinds import EXACT_MAX

_READ_AS: dict[Scalar, pa.DataType] = {
    "text": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "time": pa.string(),  # Arrow would read more than what is one
}


class UnlikeError(ValueError):
    """Rows that have to be read the slower way."""


@dataclass(slots=True)
class _Place:
    """Where in the JSON of a row something is: a column, or an object that opens up, or both."""

    column: str | None = None
    members: dict[str, "_Place"] = field(default_factory=dict)


class ResultsAsJson:
    """Reads results into batches with these columns."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._root = _Place(members={section.name: _Place() for section in RESULT_SECTIONS})
        for name in columns:
            if (found := result_field(name)) is not None:
                section, inner = found
                place = self._root.members[section]
                for key in parts(inner):
                    place = place.members.setdefault(key, _Place())
                place.column = name
        self._schema = pa.schema([(name, arrow_type(column)) for name, column in columns.items()])

    def batch(self, portion: Sequence[UnparsedResults]) -> pa.RecordBatch:
        """The rows of a portion, not an empty one.

        Raises UnlikeError if any is not of the expected types; it may be right all the same.
        """
        counts = [len(one.data) for one in portion]
        rows = None  # where each is the only one of its callback
        if set(counts) != {1}:
            rows = pa.array([n for n, count in enumerate(counts) for _ in range(count)], pa.int32())
        try:
            found = self._read(("data",), _data_lines(portion))
            of_callbacks = self._read(("custom_data", "input"), _callback_lines(portion))
        except ValueError as error:
            raise UnlikeError(str(error)) from None
        of_callbacks["_run_uid"] = pa.array([one.run_uid for one in portion], pa.string())
        of_callbacks["_received_at"] = pa.array(
            [one.callback.received_ms * 1000 for one in portion], pa.timestamp("us", tz="UTC")
        )
        for name, array in of_callbacks.items():
            found[name] = array if rows is None else array.take(rows)
        found["_result_id"] = pa.array([id_ for one in portion for id_ in one.ids()], pa.string())
        return pa.RecordBatch.from_arrays(
            [found[name] for name in self._columns], schema=self._schema
        )

    def _read(self, sections: Sequence[str], lines: Iterable[bytes]) -> dict[str, pa.Array]:
        """The columns of sections, from lines with these as members. Raises ValueError."""
        text = pa.py_buffer(b"".join(lines))
        places = [self._root.members[section] for section in sections]
        table = json.read_json(
            pa.BufferReader(text),
            read_options=json.ReadOptions(use_threads=False, block_size=text.size),
            parse_options=json.ParseOptions(
                explicit_schema=pa.schema(
                    [
                        (name, self._type(place))
                        for name, place in zip(sections, places, strict=True)
                    ]
                ),
                unexpected_field_behavior="error",
            ),
        )
        found: dict[str, pa.Array] = {}
        for place, column in zip(places, table.columns, strict=True):
            self._take(place, column.combine_chunks(), found)
        return found

    def _type(self, place: _Place) -> pa.DataType:
        if place.members or place.column is None:
            return pa.struct([(key, self._type(one)) for key, one in place.members.items()])
        return arrow_type(self._columns[place.column], _READ_AS)

    def _take(self, place: _Place, array: pa.Array, found: dict[str, pa.Array]) -> None:
        """Add the columns that are at a place to those that were found."""
        if not place.members:
            if place.column is not None:
                found[place.column] = _exact(array, self._columns[place.column])
            return
        inner = array.flatten()
        for one, column in zip(place.members.values(), inner, strict=True):
            self._take(one, column, found)
        if place.column is not None:
            # It was no object at times. Here it always is one or null; but {} is a value of the
            # column, and cannot be told from an object of nulls.
            some = inner[0].is_valid()
            for column in inner[1:]:
                some = pc.or_(some, column.is_valid())
            if pc.any(pc.and_not(array.is_valid(), some)).as_py():
                raise UnlikeError("an object may be empty")
            column_type = arrow_type(self._columns[place.column])
            found[place.column] = pa.nulls(len(array), column_type)


def _data_lines(portion: Sequence[UnparsedResults]) -> Iterator[bytes]:
    for one in portion:
        for data in one.data:
            yield b'{"data":'
            yield data
            yield b"}\n"


def _callback_lines(portion: Sequence[UnparsedResults]) -> Iterator[bytes]:
    for one in portion:
        yield b'{"custom_data":%b,"input":%b}\n' % (one.custom_data, one.input)


def _exact(array: pa.Array, column: ColumnType) -> pa.Array:
    """An array as its column has it. Raises ValueError if that could lose something."""
    if isinstance(column, ListType):
        if not _needs_care(column):
            return array
        return pa.ListArray.from_arrays(
            array.offsets, _exact(array.values, column.item), type=arrow_type(column),
            mask=array.is_null(),
        )  # fmt: skip
    if isinstance(column, StructType):
        if not _needs_care(column):
            return array
        arrays = [
            _exact(array.field(place), member) for place, (_, member) in enumerate(column.members)
        ]
        return pa.StructArray.from_arrays(
            arrays, fields=list(arrow_type(column)), mask=array.is_null()
        )
    if column == "time":
        return times(array)
    if column == "real" and (pc.max(pc.abs(array)).as_py() or 0) >= EXACT_MAX:
        raise UnlikeError("a number may have been rounded")
    return array


def _needs_care(column: ColumnType) -> bool:
    if isinstance(column, ListType):
        return _needs_care(column.item)
    if isinstance(column, StructType):
        return any(_needs_care(member) for _, member in column.members)
    return column in ("time", "real")
