"""Workbooks of a collector: results, inputs that failed, and the facts of runs."""

import io
import zipfile
from typing import Any

import pytest

from app.api.downloads import Download
from app.api.problems import ProblemError
from app.export.csv_writer import CsvOptions
from app.export.records import typed
from app.export.sheets import RUN_COLUMNS
from app.export.xlsx_writer import COLUMNS_MAX, XlsxWriter
from tests.callbacks import new_run, sent
from tests.collector_process import CollectorProcess
from tests.export.workbook import Sheets, records_of, sheets_of

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMULA = '=HYPERLINK("https://evil.example")'
ERROR = {"error_label": "NO_RESULT", "message": "nothing, \x01 at all"}
LONG = "x" * 1_048_576


@pytest.fixture(scope="module")
def runs(shared_collector: CollectorProcess) -> tuple[str, str]:
    """Two runs: one with a failed input and a text of 1 MB, one with two failed inputs."""
    first, second = sorted((new_run(), new_run()))
    bodies = [
        sent(f"{first}-1", run=first, row="row-1", results=({"id": "007", "f": FORMULA}, {"n": 5})),
        sent(f"{first}-2", run=first, row="row-2", results=({"n": 2**60, "long": LONG},)),
        sent(f"{first}-3", run=first, row="row-3", status="FAILED", results=None, error=ERROR),
        sent(f"{second}-1", run=second, row="row-1", results=({"other": True},)),
        sent(f"{second}-2", run=second, row="row-2", status="FAILED", results=None, error=ERROR),
        sent(f"{second}-3", run=second, row="row-3", status="FAILED", results=None, error=ERROR),
    ]
    for body in bodies:
        assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    return first, second


def workbook(collector: CollectorProcess, path: str, **params: Any) -> Sheets:
    answer = collector.http.get(f"/api/v1/{path}", params={"format": "xlsx", **params})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert '.xlsx"' in answer.headers["content-disposition"]
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers
    again = collector.http.get(f"/api/v1/{path}", params={"format": "xlsx", **params})
    assert again.content == answer.content
    return sheets_of(answer.content)


def test_results_come_with_failed_inputs_and_the_facts_of_the_run(
    shared_collector: CollectorProcess, runs: tuple[str, str]
) -> None:
    run = runs[0]
    book = workbook(shared_collector, f"runs/{run}/results")
    assert list(book) == ["Results", "Failed inputs", "Run", "File"]
    rows = shared_collector.pages(f"runs/{run}/results", shape="flat")
    found = records_of(book["Results"])
    assert [row["_result_id"] for row in found] == [row["_result_id"] for row in rows]
    by_row = {(row["custom_data.row_id"], row.get("id")): row for row in found}
    assert by_row["row-1", "007"]["f"] == FORMULA
    assert by_row["row-1", None]["n"] == 5
    assert by_row["row-2", None]["n"] == str(2**60)
    assert by_row["row-2", None]["long"].endswith("have]")
    (failed,) = records_of(book["Failed inputs"])
    (flat,) = shared_collector.pages(f"runs/{run}/inputs", shape="flat", status="FAILED")
    assert failed == {
        name: str(value) if isinstance(value, dict) else value
        for name, value in flat.items()
        if value is not None
    }
    assert failed["error.message"] == ERROR["message"]
    assert book["Run"][0] == list(RUN_COLUMNS)
    (facts,) = records_of(book["Run"])
    record = shared_collector.get(f"runs/{run}")
    for name in ("run_uid", "status", "completeness", "last_received_at"):
        assert facts[name] == record[name]
    assert facts["counts.inputs_failed"] == record["counts"]["inputs_failed"] == 1
    assert records_of(book["File"]) == [{"rows": 3, "failed_inputs": 1, "cells_cut": 1}]


def test_merged_results_have_the_failed_inputs_and_facts_of_each_run(
    shared_collector: CollectorProcess, runs: tuple[str, str]
) -> None:
    book = workbook(shared_collector, "results", run_uid=list(runs))
    assert [row["_run_uid"] for row in records_of(book["Results"])] == [runs[0]] * 3 + [runs[1]]
    failed = records_of(book["Failed inputs"])
    assert [row["_run_uid"] for row in failed] == [runs[0], runs[1], runs[1]]
    facts = records_of(book["Run"])
    assert [row["run_uid"] for row in facts] == list(runs)
    assert records_of(book["File"]) == [{"rows": 4, "failed_inputs": 3, "cells_cut": 1}]
    chosen = {"run_uid": list(runs), "custom_data.row_id": "row-3"}
    book = workbook(shared_collector, "results", **chosen)
    assert len(book["Results"]) == 1
    assert [row["_run_uid"] for row in records_of(book["Failed inputs"])] == list(runs)


def test_nested_records_are_cells_of_json(
    shared_collector: CollectorProcess, runs: tuple[str, str]
) -> None:
    book = workbook(shared_collector, f"runs/{runs[1]}/results", shape="record")
    (row,) = records_of(book["Results"])
    assert row["data"] == '{"other":true}'
    assert all('"message"' in row["error"] for row in records_of(book["Failed inputs"]))


def test_inputs_come_with_the_facts_of_the_run(
    shared_collector: CollectorProcess, runs: tuple[str, str]
) -> None:
    book = workbook(shared_collector, f"runs/{runs[0]}/inputs", status=["FAILED", "BLOCKED"])
    assert list(book) == ["Inputs", "Run", "File"]
    assert [row["custom_data.row_id"] for row in records_of(book["Inputs"])] == ["row-3"]
    (facts,) = records_of(book["Run"])
    assert facts["run_uid"] == runs[0]
    assert records_of(book["File"]) == [{"rows": 1, "cells_cut": 0}]


def test_results_of_no_run_are_a_workbook_too(shared_collector: CollectorProcess) -> None:
    book = workbook(shared_collector, "results", run_uid=new_run())
    assert {name: len(rows) for name, rows in book.items()} == {
        "Results": 1,
        "Failed inputs": 1,
        "Run": 1,
        "File": 2,
    }


def test_it_is_asked_for_by_its_media_type_and_is_never_compressed(
    shared_collector: CollectorProcess, runs: tuple[str, str]
) -> None:
    url = f"/api/v1/runs/{runs[0]}/results"
    headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": "gzip, zstd"}
    answer = shared_collector.http.get(url, headers=headers)
    assert "content-encoding" not in answer.headers
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    refused = shared_collector.http.get(f"{url}?format=xlsx&compression=gzip")
    assert (refused.status_code, refused.json()["parameter"]) == (400, "compression")
    document = shared_collector.http.get("/openapi.json").json()
    content = document["paths"]["/api/v1/results"]["get"]["responses"]["200"]["content"]
    assert content[MEDIA_TYPE]["schema"] == {"type": "string", "format": "binary"}


def test_more_columns_than_excel_has_are_refused() -> None:
    asked = Download(XlsxWriter, "flat", CsvOptions(), None, None)
    most = typed([f"c{number}" for number in range(COLUMNS_MAX)])
    assert isinstance(asked.writer(most), XlsxWriter)
    with pytest.raises(ProblemError, match="16,384 columns at most, and these are 16,385"):
        asked.writer(most | typed(["one more"]))
