"""Parquet: read by others, equal to what was given, whichever way the rows were read."""

import json
import random
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.canonical import canonical, dumps, parse
from app.export import parquet_writer, row_groups
from app.export.arrow_arrays import MisfitError, array_of
from app.export.arrow_json import ResultsAsJson, UnlikeError
from app.export.column_types import Columns, ColumnType, ListType, StructType
from app.export.layouts import flat_result
from app.export.parquet_writer import ParquetWriter
from app.export.records import Result, result_field, results_in
from app.export.stream import input_columns, result_columns
from app.export.table import input_lines
from app.export.unparsed import UnparsedResults, left_unparsed
from app.store.views import CountedCallback
from tests.export.catalogued import fields_in
from tests.export.test_csv_writer import SECTION, VALUE, columns_of
from tests.soak import examples

KEYS = ("results",)


def callback(results: Any, number: int = 0, **sections: Any) -> CountedCallback:
    return of_body(dumps({"results": results, **sections}), number)


def of_body(body: bytes, number: int = 0) -> CountedCallback:
    return CountedCallback(
        number, f"c{number}", b"", b"%016d" % number, None, 1_700_000_000_123 + number, body
    )


def parsed(callbacks: Sequence[CountedCallback]) -> list[Result]:
    return [result for one in callbacks for result in results_in("run-1", one, KEYS)]


def unparsed(callbacks: Sequence[CountedCallback]) -> list[UnparsedResults | Result]:
    return left_unparsed("run-1", callbacks, KEYS)


def file_of(columns: Columns, *portions: Sequence[UnparsedResults | Result]) -> bytes:
    writer = ParquetWriter(columns)
    return b"".join((writer.start(), *map(writer.results, portions), writer.end()))


def rows_of(file: bytes) -> list[dict[str, Any]]:
    return list(pq.read_table(pa.BufferReader(file)).to_pylist())


def as_column(value: Any, column: ColumnType) -> Any:
    """What a reader gets of a value, as the documentation says."""
    if value is None:
        return None
    if isinstance(column, ListType):
        return [as_column(item, column.item) for item in value]
    if isinstance(column, StructType):
        assert value.keys() <= dict(column.members).keys()
        return {key: as_column(value.get(key), member) for key, member in column.members}
    if column == "text":
        return value if isinstance(value, str) else canonical(value).decode()
    if column == "time":
        return datetime.fromisoformat(value)
    return value


def due(columns: Columns, results: Sequence[Result]) -> list[dict[str, Any]]:
    rows = map(flat_result, results)
    return [{name: as_column(row.get(name), columns[name]) for name in columns} for row in rows]


MOMENT = st.sampled_from(
    ["2025-01-02T03:04:05Z", "2025-01-02T03:04:05.123456+00:00", "0001-01-01T00:00:00.1Z"]
)
# Alike enough that columns get other types than text, most of the time.
ALIKE = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-(2**63) + 1, 2**63 - 1) | st.none(),
        "real": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
        "is": st.booleans(),
        "at": MOMENT | st.none(),
        "text": st.text(st.characters(exclude_categories=["Cs"])),
        "maybe": st.none() | st.fixed_dictionaries({}, optional={"x": st.integers(), "y": VALUE}),
        "list": st.lists(st.integers(-9, 9) | st.none()) | st.none(),
        "times": st.lists(MOMENT),
        "reals": st.lists(st.lists(st.floats(-9, 9))),
        "jobs": st.lists(
            st.none()
            | st.fixed_dictionaries(
                {},
                optional={"a": st.integers(0, 9), "b.c": MOMENT, "d": st.lists(VALUE, max_size=1)},
            )
        ),
        "any": VALUE,
    },
)
BODIES = st.lists(
    st.fixed_dictionaries(
        {"results": st.lists(ALIKE | ALIKE | ALIKE | SECTION, max_size=3)},
        optional={"custom_data": ALIKE | SECTION, "input": ALIKE | SECTION},
    ),
    max_size=4,
)


@given(BODIES, st.integers(1, 3))
@example([{"results": [{"a": None, "b": {"c": None}}, {"a": {"b": 1}, "b": {}}]}], 1)
@example([{"results": [{"a": {"b": None}}, {"a": {}}]}], 1)
@example([{"results": [{"": 1, "a\0b": "\0"}]}], 1)
@settings(max_examples=examples(50), deadline=None)
def test_what_is_read_is_what_was_given(bodies: list[Any], size: int) -> None:
    callbacks = [of_body(dumps(body), number) for number, body in enumerate(bodies)]
    results = parsed(callbacks)
    columns = columns_of(results)
    file = file_of(columns, results)
    assert rows_of(file) == due(columns, results)
    portions = [unparsed(callbacks[start : start + size]) for start in range(0, len(bodies), size)]
    assert file_of(columns, *portions) == file


@given(BODIES, st.sampled_from([None, 0, "\r\n\t"]))
@settings(max_examples=examples(50), deadline=None)
def test_arrow_reads_json_as_the_collector_does_or_not_at_all(
    bodies: list[Any], indent: int | str | None
) -> None:
    """However it is spelled."""
    spelled = [json.dumps(body, indent=indent).encode() for body in bodies]
    callbacks = [of_body(body, number) for number, body in enumerate(spelled)]
    results = parsed(callbacks)
    if results:
        columns = columns_of(results)
        reader = ResultsAsJson(columns)
        try:
            read = reader.batch(
                [one for one in unparsed(callbacks) if isinstance(one, UnparsedResults)]
            )
        except UnlikeError:
            return
        assert read.to_pylist() == due(columns, results)


@pytest.mark.parametrize(
    "texts",
    [
        (b'{"a": "\\ud800 alone"}',),
        (b'{"a": 1e400}', b'{"a": 1}'),
        (b'{"a": ' + b"9" * 5_000 + b"}", b'{"a": 1}'),
        (b'{"a": 1, "a": 2}',),
        (b'{"a": 12345678901234567890123}', b'{"a": 1}'),
        (b'{"a": 9007199254740993}', b'{"a": 0.5}'),
        (b'{"a": 9223372036854775807}', b'{"a": -9223372036854775807}'),
        (b'{"a": -0.0, "b": 5e-324, "c": 1.7976931348623157e308}',),
        (b'{"a": "007"}', b'{"a": 7}', b'{"a": null}', b'{"a": {"b": [1]}}', b"[1]", b'"x"'),
        (b'{"a": {}}', b'{"a": {"b": null}}', b'{"a": null}', b"null"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",),
        (b'{"a": ' + b'{"b":' * 40 + b"1" + b"}" * 40 + b"}",),
        (b'{"a": [{"b": 1}, {"b": null, "c.d": [true]}, {}, null]}', b'{"a": []}', b"{}"),
        (b'{"a.b": 1, "a": {"b": 2}, "input": {"x": 3}, "input.x": 4, "_run_uid": 5, "\\\\": 6}',),
        (b'{"a": "' + b"x" * 1_000_000 + b'"}', b'{"a": "\\ud83d\\ude80\\u0000\\n\\""}'),
    ],
)
def test_nasty_values(texts: Sequence[bytes]) -> None:
    body = b'{"results": [%b], "custom_data": {"at": "2025-02-28T00:00:00Z"}, "input": 7}'
    callbacks = [of_body(body % b", ".join(texts))]
    results = parsed(callbacks)
    assert len(results) == len(texts)
    columns = columns_of(results)
    file = file_of(columns, unparsed(callbacks))
    assert rows_of(file) == due(columns, results)
    assert file == file_of(columns, results)
    assert read_by_duckdb(file, columns) == due(columns, results)


def read_by_duckdb(file: bytes, columns: Columns) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile(suffix=".parquet") as kept, duckdb.connect() as connection:
        Path(kept.name).write_bytes(file)
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute("FROM read_parquet(?)", [kept.name])
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def test_types_are_kept() -> None:
    data = {
        "whole": 2**62,
        "real": 0.5,
        "is": True,
        "at": "2025-01-02T03:04:05.000006Z",
        "zeros": "007",
        "jobs": [{"title": "x", "years": 3}],
        "tags": ["a"],
        "mixed": [1, "a"],
    }
    results = parsed([callback([data])])
    file = file_of(columns_of(results), results)
    schema = pq.read_schema(pa.BufferReader(file))
    found = {one.name: str(one.type) for one in schema}
    assert found == {
        "whole": "int64",
        "real": "double",
        "is": "bool",
        "at": "timestamp[us, tz=UTC]",
        "zeros": "string",
        "jobs": "list<element: struct<title: string, years: int64>>",
        "tags": "list<element: string>",
        "mixed": "list<element: string>",
        "_run_uid": "string",
        "_result_id": "string",
        "_received_at": "timestamp[us, tz=UTC]",
    }
    assert rows_of(file)[0]["mixed"] == ["1", "a"]
    with tempfile.NamedTemporaryFile(suffix=".parquet") as kept, duckdb.connect() as connection:
        Path(kept.name).write_bytes(file)
        question = "SELECT jobs[1].title, whole + 1 FROM read_parquet(?)"
        assert connection.execute(question, [kept.name]).fetchall() == [("x", 2**62 + 1)]


def test_two_thousand_columns() -> None:
    rng = random.Random(7)
    keys = [f"f{key}" for key in range(1_000)]
    some = [{key: {"x": key, "y": [1, None]} for key in rng.sample(keys, 50)} for _ in range(9)]
    callbacks = [callback([*some, {key: {"x": key, "y": []} for key in keys}])]
    results = parsed(callbacks)
    columns = columns_of(results)
    assert len(columns) > 2_000
    file = file_of(columns, unparsed(callbacks))
    assert rows_of(file) == due(columns, results)
    assert file == file_of(columns, results)


def test_no_rows_are_a_file_with_columns() -> None:
    columns: Columns = {"a": "integer", "b": ListType("text"), "_run_uid": "text"}
    for portions in ((), ([],), (unparsed([callback([])]),)):
        file = file_of(columns, *portions)
        table = pq.read_table(pa.BufferReader(file))
        assert (table.num_rows, table.column_names) == (0, list(columns))
        assert read_by_duckdb(file, columns) == []


def test_a_file_that_broke_off_is_no_parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "ROWS_MAX", 10)
    results = parsed([callback([{"a": n} for n in range(45)])])
    writer = ParquetWriter(columns_of(results))
    assert writer.start() == b"PAR1"
    begun = writer.start() + writer.results(results)
    assert len(begun) > 1_000
    with pytest.raises(pa.ArrowInvalid):
        rows_of(begun)
    assert len(rows_of(begun + writer.end())) == 45


@pytest.mark.parametrize(
    ("rows", "bytes_max", "groups"),
    [(45, 10**9, [20, 20, 5]), (40, 10**9, [20, 20]), (10, 1, [7, 3]), (3, 10**9, [3])],
)
def test_groups_have_bounds(
    monkeypatch: pytest.MonkeyPatch, rows: int, bytes_max: int, groups: list[int]
) -> None:
    monkeypatch.setattr(row_groups, "ROWS_MAX", 20)
    monkeypatch.setattr(row_groups, "BYTES_MAX", bytes_max)
    results = parsed([callback([{"a": n} for n in range(rows)])])
    portions = [results[start : start + 7] for start in range(0, rows, 7)]
    file = file_of(columns_of(results), *portions)
    metadata = pq.read_metadata(pa.BufferReader(file))
    found = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert found == groups
    assert [row["a"] for row in rows_of(file)] == list(range(rows))
    assert metadata.metadata[b"edges-collector.version"]


def test_bytes_come_as_groups_are_full_and_no_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "ROWS_MAX", 20)
    results = parsed([callback([{"a": n} for n in range(21)])])
    writer = ParquetWriter(columns_of(results))
    assert [bool(writer.results([one])) for one in results] == [False] * 20 + [True]


def test_what_arrow_cannot_read_is_read_otherwise_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet_writer, "HELD_BYTES_MAX", 1)
    callbacks = [callback([{"a": n if n in (0, 9, 10) else "t"}], n) for n in range(30)]
    results = parsed(callbacks)
    columns = columns_of(results)
    tried = []
    read = ResultsAsJson.batch

    def counted(self: ResultsAsJson, portion: Sequence[UnparsedResults]) -> pa.RecordBatch:
        tried.append(portion[0].callback.seq)
        return read(self, portion)

    monkeypatch.setattr(ResultsAsJson, "batch", counted)
    file = file_of(columns, *[unparsed([one]) for one in callbacks])
    assert file == file_of(columns, results)
    assert tried == [0, *range(5, 10), *range(14, 30)]


@pytest.mark.parametrize(
    ("value", "column"),
    [
        (1, "boolean"),
        (True, "integer"),
        (1.0, "integer"),
        (2**63, "integer"),
        ("1", "real"),
        (2**53 + 1, "real"),
        (10**400, "real"),
        ("2025-01-02", "time"),
        ("2025-02-30T00:00:00Z", "time"),
        ("2025-01-02T03:04:05+02:00", "time"),
        (7, "time"),
        ([1], "integer"),
        (1, ListType("integer")),
        (["a"], ListType("integer")),
        ([{"a": 1, "b": 2}], ListType(StructType((("a", "integer"),)))),
        ([{"a": "2025"}], ListType(StructType((("a", "time"),)))),
    ],
)
def test_a_value_that_does_not_fit_breaks_the_file_off(value: Any, column: ColumnType) -> None:
    """And is neither bent nor left out, whichever way the rows are read."""
    with pytest.raises(MisfitError):
        array_of([None, value], column)
    callbacks = [callback([{"x": None}, {"x": value}])]
    for portion in (parsed(callbacks), unparsed(callbacks)):
        with pytest.raises(MisfitError, match=r"column 'x'.*edges-collector rebuild"):
            file_of({"x": column, "_run_uid": "text"}, portion)


def test_inputs_are_written_with_their_types() -> None:
    record = {
        "run_uid": "run-1",
        "input_uid": "i1",
        "input": {"url": "x", "deep": {"er": [1]}},
        "custom_data": "plain",
        "status": "FAILED",
        "error": {
            "label": "NO_RESULT",
            "message": "a,b",
            "status_code": "4xx",
            "params": {"after_s": 60},
            "retryable": False,
        },
        "result_count": 0,
        "started_at": "2025-01-02T03:04:05.000Z",
        "finished_at": None,
    }
    fields = fields_in([("input", record["input"]), ("custom_data", record["custom_data"])])
    writer = ParquetWriter(input_columns(fields))
    file = writer.start() + input_lines(writer)([record, record | {"error": None}]) + writer.end()
    first, second = rows_of(file)
    assert first["input.deep.er"] == [1]
    assert (first["error.params"], first["error.status_code"]) == ('{"after_s":60}', "4xx")
    assert (first["error.retryable"], second["error.retryable"]) == (False, None)
    assert first["_started_at"] == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


@given(SECTION, SECTION, SECTION)
def test_a_column_of_results_tells_its_field(data: Any, custom_data: Any, given: Any) -> None:
    fields = fields_in([("data", data), ("custom_data", custom_data), ("input", given)])
    found = [result_field(column) for column in result_columns(fields)]
    assert found[-3:] == [None] * 3
    assert set(found[:-3]) == {
        (section, name) for section, kinds in fields.kinds.items() for name in kinds
    }


def test_results_are_found_unparsed_where_they_are_parsed() -> None:
    for body in (
        {"results": [1, None, {"a": 1}]},
        {"results": {"a": 1}},
        {"results": "text", "data": [{"a": 1}]},
        {"results": [], "data": [1]},
        {"other": 1},
    ):
        one = of_body(json.dumps(body, indent=2).encode())
        (found,) = left_unparsed("run-1", [one], ("results", "data"))
        assert isinstance(found, UnparsedResults)
        due = list(results_in("run-1", one, ("results", "data")))
        assert list(found.parsed()) == due
        assert list(found.ids()) == [result.result_id for result in due]
        assert [parse(bytes(raw)) for raw in found.data] == [result.data for result in due]
