"""CSV: the same bytes as by walking each row, and the options for spreadsheets."""

import csv
import io
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canonical import parse
from app.export import plans
from app.export.column_types import Columns
from app.export.csv_writer import SEPARATORS, CsvOptions, CsvWriter, guarded
from app.export.layouts import flat_result
from app.export.records import (
    RESULT_OWN_COLUMNS,
    RESULT_SECTIONS,
    Result,
    data_column,
    flat_input,
)
from app.export.stream import input_columns, result_columns
from app.export.table import input_lines, result_lines
from app.store.views import Fields
from tests.export.catalogued import fields_in, fields_of
from tests.export.walk import csv_by_walking, row_by_walking
from tests.soak import examples

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", ",", '"', "\r", "\n", "\r\n", ";", "\t", "=1+1", " x ", "\0", "\u2028", "日本語", "🚀"]
)
KEY = st.sampled_from(
    ["a", "b", "a.b", "a\\", "", "=k", "input", "input.a", "custom_data", "_run_uid", "value"]
)
SCALAR: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**53, 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.just({})
    | st.just([])
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=10,
)
OBJECT = st.dictionaries(KEY, VALUE, max_size=5)
SECTION = OBJECT | OBJECT | SCALAR


def result(data: Any, custom_data: Any = None, given: Any = None, *, place: int = 0) -> Result:
    return Result(
        run_uid="run-1",
        result_id=f"id-{place}",
        place=place,
        source="callback",
        callback_key="c1",
        batch_uid=None,
        order_key=b"",
        input=given,
        custom_data=custom_data,
        received_ms=1_700_000_000_999 + place,
        data=data,
    )


RESULTS = st.lists(st.builds(result, SECTION, SECTION, SECTION, place=st.integers(0, 3000)))


def columns_of(results: Sequence[Result]) -> Columns:
    """The columns by the catalogue."""
    return result_columns(fields_of(results))


@given(RESULTS)
@settings(max_examples=examples(100))
def test_plans_write_what_walking_does(results: list[Result]) -> None:
    columns = columns_of(results)
    assert result_lines(CsvWriter(columns))(results) == csv_by_walking(columns, results)


COLUMNS_OF_A_KIND = st.sampled_from(
    [TEXT, TEXT | st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
     st.booleans() | st.none(), st.lists(SCALAR, max_size=2), SCALAR, VALUE]
)  # fmt: skip


@given(st.data(), st.sampled_from([*SEPARATORS.values()]), st.booleans())
@settings(max_examples=400)
def test_rows_that_are_alike_are_written_as_each_by_itself(
    data: st.DataObject, separator: str, is_guarded: bool
) -> None:
    kinds = data.draw(st.dictionaries(KEY, COLUMNS_OF_A_KIND, max_size=4))
    same = st.fixed_dictionaries(kinds)
    shared = data.draw(st.lists(SECTION, min_size=1, max_size=2))
    others = st.sampled_from(shared) | SECTION
    rows = data.draw(st.lists(st.builds(result, same | same | SECTION, others, others)))
    rows += data.draw(st.lists(st.builds(result, same, others), min_size=4))
    writer = CsvWriter(columns_of(rows), CsvOptions(separator=separator, is_guarded=is_guarded))
    one_by_one = b"".join(result_lines(writer)([row]) for row in rows)
    assert result_lines(writer)(rows) == one_by_one
    if separator == "," and not is_guarded:
        assert one_by_one == csv_by_walking(columns_of(rows), rows)


@given(RESULTS, st.integers(0, 10))
def test_columns_that_are_missing_are_left_out(results: list[Result], kept: int) -> None:
    columns = list(columns_of(results))[-kept - len(RESULT_OWN_COLUMNS) :]
    assert result_lines(CsvWriter(columns))(results) == csv_by_walking(columns, results)


@given(SECTION, SECTION, SECTION)
def test_the_catalogue_has_a_column_for_every_value(data: Any, custom: Any, given: Any) -> None:
    one = result(data, custom, given)
    columns = columns_of([one])
    assert len(set(columns)) == len(columns)
    assert sorted(flat_result(one)) == sorted(columns)
    assert flat_result(one) == row_by_walking(one)


@given(RESULTS)
def test_plans_that_are_forgotten_are_made_anew(results: list[Result]) -> None:
    columns = columns_of(results)
    writer = CsvWriter(columns)
    made = plans.Plans(columns, RESULT_SECTIONS, RESULT_OWN_COLUMNS, writer.as_cells)
    made._plans_max = 1
    own = ("run", "id", "time")
    for one in results:
        sections = (one.data, one.custom_data, one.input)
        assert list(made.cells(sections, own))[-3:] == list(own)
        assert len(made._plans) == 1


def test_two_thousand_columns() -> None:
    rng = random.Random(7)
    results = []
    for place in range(60):
        keys = rng.sample(range(2_000), 50)
        data = {f"f{key}": {"x": key, "y": [key, None]} if key % 3 == 0 else key for key in keys}
        results.append(result(data, place=place))
    results.append(result({f"f{key}": key for key in range(2_000)}))
    columns = columns_of(results)
    assert len(columns) > 2_000
    assert result_lines(CsvWriter(columns))(results) == csv_by_walking(columns, results)


def test_an_outline_is_not_taken_for_another_one() -> None:
    """Keys alike, but of other objects: which of two values opened up is part of the outline."""
    results = [
        result({"a": {"x": 1}, "b": None}),
        result({"a": None, "b": {"x": 2}}),
        result(None, {"x": 3}),
        result({"x": 4}),
        result(None, None, {"x": 5}),
    ]
    columns = columns_of(results)
    assert result_lines(CsvWriter(columns))(results) == csv_by_walking(columns, results)


def test_names_that_would_collide_keep_their_values() -> None:
    data = {"a.b": 1, "a": {"b": 2}, "input": {"x": 3}, "input.x": 4, "_run_uid": 5}
    one = result(data, None, {"x": 6})
    columns = columns_of([one])
    writer = CsvWriter(columns)
    text = (writer.start() + result_lines(writer)([one])).decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row == {
        "a\\.b": "1",
        "a.b": "2",
        "\\input.x": "3",
        "input\\.x": "4",
        "\\_run_uid": "5",
        "input.x": "6",
        "_run_uid": "run-1",
        "_result_id": "id-0",
        "_received_at": "2023-11-14T22:13:20.999Z",
    }


def test_a_catalogue_without_escapes_still_finds_its_values() -> None:
    """Databases written before: their columns are called as names were then."""
    columns = result_columns(
        Fields.of((("data", "a.b.c", 2047), ("data", "d", 2047), ("custom_data", "crm.id", 2047)))
    )
    one = result({"a.b": {"c": 1}, "d": 2}, {"crm.id": 7})
    assert result_lines(CsvWriter(columns))([one]).startswith(b"1,2,7,run-1,")
    first, second = {"a.b": {"c": 1}}, {"a": {"b": {"c": 3}}}
    for both in (first | second, second | first):
        assert result_lines(CsvWriter(columns))([result(both)]).startswith(b"3,,,run-1,")


def test_inputs_are_written_as_their_rows() -> None:
    record = {
        "run_uid": "run-1",
        "input_uid": "i1",
        "input": {"url": "x", "deep": {"er": [1]}},
        "custom_data": "plain",
        "status": "FAILED",
        "error": {"label": "NO_RESULT", "message": "a,b", "params": {"after_s": 60}},
        "result_count": 0,
        "started_at": "t1",
        "finished_at": None,
    }
    fields = fields_in([("input", record["input"]), ("custom_data", record["custom_data"])])
    for one in (record, record | {"error": None, "input": None}):
        writer = CsvWriter(input_columns(fields))
        assert input_lines(writer)([one]) == writer.rows([flat_input(one)])


@given(
    st.lists(st.lists(TEXT | st.integers() | st.none(), min_size=1), max_size=5),
    st.sampled_from(list(SEPARATORS.values())),
)
def test_cells_are_quoted_as_the_csv_module_does(rows: list[list[Any]], separator: str) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator, lineterminator="\r\n").writerows(rows)
    writer = CsvWriter([], CsvOptions(separator=separator))
    lines = writer.lines([writer.as_cells(row) for row in rows])
    assert lines == buffer.getvalue().encode()


def test_lines_end_as_the_standard_says() -> None:
    writer = CsvWriter(["a"])
    assert writer.start() + writer.rows([{"a": "x"}]) == b"a\r\nx\r\n"


def test_a_byte_order_mark_comes_once_and_only_if_asked() -> None:
    writer = CsvWriter(["ä"], CsvOptions(has_bom=True))
    file = writer.start() + writer.rows([{"ä": 1}]) + writer.end()
    assert file == b"\xef\xbb\xbf\xc3\xa4\r\n1\r\n"
    assert CsvWriter(["ä"]).start() == b"\xc3\xa4\r\n"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+49 30 1", "-", "@cmd", "\t=1", "\r=1", "-1-1", "+1e", "--5", "-5\n", "-٣"],
)
def test_cells_that_a_spreadsheet_would_run_are_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"
    writer = CsvWriter([text, "b"], CsvOptions(is_guarded=True))
    file = (writer.start() + writer.rows([{text: text, "b": -5}])).decode()
    header, row = csv.reader(io.StringIO(file, newline=""))
    assert header == [f"'{text}", "b"]
    assert row == [f"'{text}", "-5"]
    plain = CsvWriter(["a"]).rows([{"a": text}]).decode()
    assert next(csv.reader(io.StringIO(plain, newline=""))) == [text]


@pytest.mark.parametrize("text", ["-5", "+3.2", "-.5", "-1e9", "+1.5E-3", "5", "", "a=b", "'=1"])
def test_numbers_and_harmless_text_are_left_as_they_are(text: str) -> None:
    assert guarded(text) == text


@given(st.lists(OBJECT, max_size=4))
def test_guarded_files_begin_no_cell_with_a_formula(rows: list[Any]) -> None:
    results = list(map(result, rows))
    writer = CsvWriter(columns_of(results), CsvOptions(is_guarded=True, separator=";"))
    text = (writer.start() + result_lines(writer)(results)).decode()
    for cells in csv.reader(io.StringIO(text, newline=""), delimiter=";"):
        for cell in cells:
            if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
                float(cell)  # or it fails


def test_whole_numbers_and_ids_stay_exact() -> None:
    data = parse(b'{"id": "00042", "big": 123456789012345678901234567890, "ratio": 0.1}')
    one = result(data)
    assert result_lines(CsvWriter(["id", "big", "ratio"]))([one]) == (
        b"00042,123456789012345678901234567890,0.1\r\n"
    )


def test_what_is_called_as_another_column_is_told_apart() -> None:
    assert data_column("input.x") == "\\input.x"
    assert data_column("input") == "input"
    assert data_column("inputs.x") == "inputs.x"
