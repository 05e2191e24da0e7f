"""XLSX: what was given is what openpyxl reads, and what does not fit is said."""

import gc
import io
import zipfile
from collections.abc import Collection, Sequence
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils import get_column_letter

from app.canonical import canonical, parse
from app.export import xlsx_writer
from app.export.layouts import flat_result
from app.export.records import Result
from app.export.stream import result_columns
from app.export.table import result_lines
from app.export.xlsx_writer import COLUMNS_MAX, XlsxWriter, letters
from tests.export.catalogued import fields_of
from tests.export.test_csv_writer import OBJECT, RESULTS, TEXT, result
from tests.export.walk import row_by_walking
from tests.export.workbook import Sheets, records_of, sheets_of
from tests.soak import examples

CELL_MAX = 32_767


def written(columns: Collection[str], rows: Sequence[dict[str, Any]], **options: Any) -> bytes:
    writer = XlsxWriter(columns, **options)
    return writer.start() + writer.rows(rows) + writer.end()


def of_results(results: Sequence[Result]) -> bytes:
    writer = XlsxWriter(result_columns(fields_of(results)))
    return writer.start() + result_lines(writer)(results) + writer.end()


def as_read(values: Sequence[Any]) -> list[Any]:
    """These values in a column of their own, out and in again."""
    rows = sheets_of(written(["a", "b"], [{"a": value, "b": 0} for value in values]))
    return [row[0] for row in rows["Results"][1:]]


def cell_of(value: Any) -> Any:
    """What Excel is to show of a value."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int) and len(str(abs(value))) <= 15:
        return value
    if isinstance(value, float) and float(f"{value:.15g}") == value and not 0 < abs(value) < 1e-307:
        return value
    return canonical(value).decode()


@given(RESULTS)
@settings(max_examples=examples(40))
def test_results_are_read_as_they_were_given(results: list[Result]) -> None:
    sheet = sheets_of(of_results(results))["Results"]
    columns = list(result_columns(fields_of(results)))
    assert sheet[0] == columns
    rows = [row_by_walking(one) for one in results]
    assert sheet[1:] == [[cell_of(row.get(name)) for name in columns] for row in rows]


@given(RESULTS)
def test_plans_write_what_walking_does(results: list[Result]) -> None:
    columns = result_columns(fields_of(results))
    assert of_results(results) == written(columns, [flat_result(one) for one in results])


@given(
    st.lists(st.text(st.sampled_from("_x0041Ff\0\x01\x08\x0b\ufffe\uffff\r\n\t <&>]A\x7f\ufffd")))
)
@settings(max_examples=examples(50))
def test_any_text_is_read_as_it_was_given(texts: list[str]) -> None:
    assert as_read(texts) == texts


@pytest.mark.parametrize(
    "text",
    [
        *("=cmd()", '=HYPERLINK("https://evil.example")', "+1", "-1", "@x", "https://a.example"),
        *(
            "00042",
            "1e5",
            "TRUE",
            "2024-01-01",
            "#N/A",
            " ",
            "  lead and trail\n",
            "\t",
            "\r\n",
        ),
        *("_x0041_", "_x005F_", "_x0041_x0042_", "_x0041\x01", "_xZZZZ_", "\0\x1f\x7f\x85"),
        *(
            "\x04\x05A1\x07",
            "\x01\x02\x03",
            "a\ufffeb\uffff",
            "🧗‍♀️",
            "日本",
            "<b>&amp;]]></t>",
            "\u2028",
        ),
    ],
)
def test_texts_stay_texts(text: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(written([text, "b"], [{text: text, "b": "plain"}])))
    (header, row) = book.worksheets[0].iter_rows()
    assert as_read([text]) == [text]
    assert sheets_of(written([text, "b"], []))["Results"] == [[text, "b"]]
    for cell in (header[0], row[0]):
        assert (cell.data_type, cell.hyperlink) == ("s", None)


def test_space_at_the_ends_is_kept_by_readers_that_trim() -> None:
    xml = zipfile.ZipFile(io.BytesIO(written(["a"], [{"a": " x"}, {"a": "x y"}]))).read(
        "xl/worksheets/sheet1.xml"
    )
    assert b'<t xml:space="preserve"> x</t>' in xml
    assert b"<t>x y</t>" in xml


@pytest.mark.parametrize(
    "number",
    [
        *(0, -5, 999_999_999_999_999, -999_999_999_999_999, 0.1, -2.5, 1e15, 1e300, 123456.789),
        *(1e-300, 0.0, 5.0),
    ],
)
def test_numbers_that_excel_shows_exactly_are_numbers(number: float) -> None:
    (read,) = as_read([number])
    assert read == number
    assert not isinstance(read, str)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (10**15, "1000000000000000"),
        (-(10**15), "-1000000000000000"),
        (2**53 + 1, "9007199254740993"),
        (10**30, "1" + "0" * 30),
        (0.1 + 0.2, "0.30000000000000004"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_others_are_texts_with_all_of_their_digits(number: float, text: str) -> None:
    assert as_read([number]) == [text]


def test_truth_nothing_lists_and_objects() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [{"b": deep, "a": None}]
    values = [True, False, None, [], {}, deep, {"b": 1, "a": ["<", "\x01"]}]
    assert as_read(values) == [True, False, None, *(canonical(v).decode() for v in values[3:])]


def test_ids_and_whole_numbers_of_json_stay_exact() -> None:
    data = parse(b'{"id": "00042", "big": 123456789012345678901234567890, "n": null, "f": 1.0}')
    (row,) = records_of(sheets_of(of_results([result(data)]))["Results"])
    assert row["id"] == "00042"
    assert row["big"] == "123456789012345678901234567890"
    assert row["f"] == 1
    assert "n" not in row


def test_names_that_would_collide_keep_their_values() -> None:
    data = {"a.b": 1, "a": {"b": 2}, "input": {"x": 3}, "input.x": 4, "_run_uid": 5}
    (row,) = records_of(sheets_of(of_results([result(data, None, {"x": 6})]))["Results"])
    assert {name: row[name] for name in row if not name.startswith("_r")} == {
        "a\\.b": 1,
        "a.b": 2,
        "\\input.x": 3,
        "input\\.x": 4,
        "\\_run_uid": 5,
        "input.x": 6,
    }


@pytest.mark.parametrize("letter", ["x", "é", "\x01", "&", "🚀"])
def test_a_text_that_is_too_long_is_cut_and_marked(letter: str) -> None:
    units = len(letter.encode("utf-16-le")) // 2
    fits, over = letter * (CELL_MAX // units), letter * (CELL_MAX // units + 1)
    writer = XlsxWriter(["a"])
    writer.start()
    writer.rows([{"a": fits}, {"a": over}, {"a": letter * 1_048_576}, {"a": [over]}])
    assert writer.cells_cut == 3
    read_fits, read_over, million, listed = as_read([fits, over, letter * 1_048_576, [over]])
    assert read_fits == fits
    for read in (read_over, million, listed):
        assert CELL_MAX - units < len(read.encode("utf-16-le")) // 2 <= CELL_MAX
        assert read.endswith(" characters in all, which ndjson, json and csv have]")
    assert million.partition("… [cut: ")[2].startswith("1,048,576 characters")
    assert set(million.partition("…")[0]) == {letter}


@given(
    st.lists(TEXT | st.integers() | st.none(), max_size=12), st.integers(2, 5), st.integers(1, 4)
)
@settings(max_examples=examples(25))
def test_full_sheets_go_on_in_others(values: list[Any], rows_max: int, size: int) -> None:
    writer = XlsxWriter(["a", "b"], "Rows", rows_max=rows_max)
    rows = [{"a": value, "b": number} for number, value in enumerate(values)]
    file = writer.start()
    for start in range(0, len(rows), size):
        file += writer.rows(rows[start : start + size])
    file += writer.sheet("Others", ["c"])
    file += writer.rows([{"c": number} for number in range(rows_max)])
    sheets = sheets_of(file + writer.end())
    full = max(1, -(-len(rows) // (rows_max - 1)))
    names = ["Rows", *(f"Rows {number}" for number in range(2, full + 1)), "Others", "Others 2"]
    assert list(sheets) == names
    for name in names[:full]:
        assert sheets[name][0] == ["a", "b"]
        assert len(sheets[name]) <= rows_max
    assert [row for name in names[:full] for row in sheets[name][1:]] == [
        [cell_of(row["a"]), row["b"]] for row in rows
    ]
    assert [sheets["Others"][0], sheets["Others 2"]] == [["c"], [["c"], [rows_max - 1]]]
    assert writer.rows_written == len(rows) + rows_max


def test_sheets_stay_small_enough_for_a_plain_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_writer, "_SHEET_BYTES_MAX", 2_000)
    sheets = sheets_of(written(["a"], [{"a": "x" * 100}] * 200))
    assert len(sheets) > 2
    assert sum(len(rows) - 1 for rows in sheets.values()) == 200


def test_two_thousand_columns() -> None:
    results = [result({f"f{key}": key for key in range(2_000)}), result({"f1999": "x"})]
    first, second = records_of(sheets_of(of_results(results))["Results"])
    assert len(first) == 2_003
    assert first["f1999"] == 1999
    assert [name for name in second if name[0] == "f"] == ["f1999"]


def test_columns_are_called_as_excel_calls_them() -> None:
    numbers = range(1, COLUMNS_MAX + 1)
    assert list(map(letters, numbers)) == list(map(get_column_letter, numbers))


def test_the_first_row_is_a_header_that_stays_in_sight() -> None:
    book = openpyxl.load_workbook(io.BytesIO(written(["a", "b"], [{"a": 1}, {"b": 2}])))
    sheet = book.worksheets[0]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:B3"
    assert [sheet["A1"].font.b, sheet["B1"].font.b, sheet["A2"].font.b] == [True, True, False]


@given(st.lists(OBJECT, max_size=4))
@settings(max_examples=examples(15))
def test_the_same_rows_give_the_same_bytes(rows: list[Any]) -> None:
    results = list(map(result, rows))
    file = of_results(results)
    assert of_results(results) == file
    for entry in zipfile.ZipFile(io.BytesIO(file)).infolist():
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        # Excel wants to repair what has ZIP64's fields, where a size is not known before.
        assert entry.extra == b""
        assert entry.extract_version == 20


def test_a_file_that_broke_off_is_no_archive(capsys: pytest.CaptureFixture[str]) -> None:
    writer = XlsxWriter(["a"])
    pieces = [writer.start(), *(writer.rows([{"a": number}]) for number in range(9))]
    whole = b"".join(pieces)
    del writer
    gc.collect()  # what was not ended is not ended now, and says nothing of it
    for file in (b"", pieces[0], whole):
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(file))
    complete = written(["a"], [{"a": number} for number in range(9)])
    for end in range(0, len(complete), 37):
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(complete[:end]))
    assert capsys.readouterr().err == ""


def test_the_file_begins_before_the_first_row() -> None:
    writer = XlsxWriter(["a"])
    assert writer.start().startswith(b"PK\x03\x04")
    assert b"[Content_Types].xml" in XlsxWriter(["a"]).start()[:60]


def test_rows_are_written_the_same_however_they_were_portioned() -> None:
    rows = [{"a": f"x{number}\x01" if number % 7 == 0 else number} for number in range(100)]

    def sheets(size: int) -> Sheets:
        writer = XlsxWriter(["a"])
        file = writer.start()
        for start in range(0, len(rows), size):
            file += writer.rows(rows[start : start + size])
        return sheets_of(file + writer.end())

    assert sheets(1) == sheets(33) == sheets(100)
