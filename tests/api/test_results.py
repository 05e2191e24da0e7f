"""Results and inputs over HTTP: pages, filters, downloads, merging."""

import csv
import io
import json
from typing import Any

import pytest

from app.api.downloads import SHAPES
from app.fields import parts
from tests.callbacks import callback, encoded, new_run, sent
from tests.collector_process import CollectorProcess

INPUTS = 30
TEXT = 'a"b,\r\n=1'


@pytest.fixture(scope="module")
def run(shared_collector: CollectorProcess) -> str:
    """A run of 30 inputs with two pages of results each; every fifth fails instead."""
    uid = new_run()
    for number in range(INPUTS):
        row = f"row-{number:02d}"
        if number % 5 == 4:
            error = {"error_label": "NO_RESULT" if number % 2 else "LK_ERROR", "status_code": 424}
            bodies = [sent(f"{row}-e", run=uid, row=row, status="FAILED", results=(), error=error)]
        else:
            bodies = [
                sent(
                    f"{row}-{page}",
                    run=uid,
                    row=row,
                    status="SUCCEEDED" if page else "RUNNING",
                    results=tuple(
                        {
                            "id": f"0{number}",
                            "page": page,
                            "n": {"deep": [place]},
                            "text": 'a"b,\r\n=1',
                        }
                        for place in range(3)
                    ),
                )
                for page in range(2)
            ]
        for body in bodies:
            assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    return uid


def test_pages_give_what_a_download_gives(shared_collector: CollectorProcess, run: str) -> None:
    pages = shared_collector.pages(f"runs/{run}/results", limit=7)
    download = shared_collector.http.get(f"/api/v1/runs/{run}/results?format=ndjson").text
    assert pages == [json.loads(line) for line in download.splitlines()]
    assert len(pages) == 24 * 6
    assert len({row["result_id"] for row in pages}) == len(pages)
    one = pages[0]
    assert list(one) == [
        "run_uid",
        "result_id",
        "source",
        "callback_ref_uid",
        "batch_uid",
        "input",
        "custom_data",
        "received_at",
        "data",
    ]
    assert one["source"] == "callback"


def test_results_of_an_input_stand_together_in_order(
    shared_collector: CollectorProcess, run: str
) -> None:
    rows = shared_collector.pages(f"runs/{run}/results", limit=1000)
    order = [row["custom_data"]["row_id"] for row in rows]
    assert len(set(order)) == 24
    assert [
        key for key, before in zip(order, [None, *order], strict=False) if key != before
    ] == list(dict.fromkeys(order))
    for start in range(0, len(rows), 6):
        six = rows[start : start + 6]
        assert [(row["data"]["page"], row["data"]["n"]["deep"]) for row in six] == [
            (page, [place]) for page in range(2) for place in range(3)
        ]


def test_csv_is_rfc_4180_with_every_column(shared_collector: CollectorProcess, run: str) -> None:
    answer = shared_collector.http.get(f"/api/v1/runs/{run}/results?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f"results-{run}.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert list(rows[0]) == [
        "id",
        "n.deep",
        "page",
        "text",
        "custom_data.list",
        "custom_data.row_id",
        "input.linkedin_profile_url",
        "_run_uid",
        "_result_id",
        "_received_at",
    ]
    assert len(rows) == 24 * 6
    assert rows[0]["text"] == TEXT
    assert rows[0]["id"].startswith("0")
    assert json.loads(rows[0]["n.deep"]) == [0]


def test_json_is_one_array(shared_collector: CollectorProcess, run: str) -> None:
    answer = shared_collector.http.get(f"/api/v1/runs/{run}/results?format=json")
    assert len(answer.json()) == 24 * 6


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_can_be_chosen(shared_collector: CollectorProcess, run: str, shape: str) -> None:
    url = f"/api/v1/runs/{run}/results?format=ndjson&shape={shape}"
    row = json.loads(shared_collector.http.get(url).text.splitlines()[0])
    assert ("data" in row) == (shape == "record")
    assert ("n.deep" in row) == (shape == "flat")


def test_accept_chooses_a_format_and_the_query_wins(
    shared_collector: CollectorProcess, run: str
) -> None:
    url = f"/api/v1/runs/{run}/results"
    as_csv = shared_collector.http.get(url, headers={"Accept": "text/csv"})
    assert as_csv.headers["content-type"].startswith("text/csv")
    lines = shared_collector.http.get(f"{url}?format=ndjson", headers={"Accept": "text/csv"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    page = shared_collector.http.get(url, headers={"Accept": "*/*"})
    assert "next_cursor" in page.json()


def test_custom_data_finds_results(shared_collector: CollectorProcess, run: str) -> None:
    path = f"runs/{run}/results"
    found = shared_collector.pages(path, **{"custom_data.row_id": "row-07"}, limit=4)
    assert len(found) == 6
    assert {row["custom_data"]["row_id"] for row in found} == {"row-07"}
    both = {"custom_data.row_id": "row-07", "custom_data.list": "leads"}
    assert shared_collector.pages(path, **both) == found
    assert shared_collector.pages(path, **{"custom_data.list": "leads"}, limit=1000) == (
        shared_collector.pages(path, limit=1000)
    )
    assert shared_collector.pages(path, **{"custom_data.row_id": "nobody"}) == []


def test_an_input_uid_finds_its_results(shared_collector: CollectorProcess, run: str) -> None:
    (one,) = shared_collector.pages(f"runs/{run}/inputs", **{"custom_data.row_id": "row-07"})
    found = shared_collector.pages(f"runs/{run}/results", input_uid=one["input_uid"])
    assert {row["custom_data"]["row_id"] for row in found} == {"row-07"}
    assert one["result_count"] == len(found) == 6
    bad = shared_collector.http.get(f"/api/v1/runs/{run}/results?input_uid=zzz")
    assert bad.status_code == 400


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 30),
        ({"status": "failed"}, 6),
        ({"status": ["SUCCEEDED", "FAILED"]}, 30),
        ({"error_label": "NO_RESULT"}, 3),
        ({"error_label": "NO_RESULT", "status": "SUCCEEDED"}, 0),
        ({"custom_data.list": "leads", "status": "FAILED"}, 6),
        ({"custom_data.row_id": "row-04"}, 1),
    ],
)
def test_inputs_are_listed_with_their_fate(
    shared_collector: CollectorProcess, run: str, query: dict[str, Any], count: int
) -> None:
    rows = shared_collector.pages(f"runs/{run}/inputs", **query, limit=4)
    assert len(rows) == count
    assert all((row["error"] is not None) == (row["status"] == "FAILED") for row in rows)


def test_failed_inputs_come_as_csv_to_be_fed_back(
    shared_collector: CollectorProcess, run: str
) -> None:
    url = f"/api/v1/runs/{run}/inputs?status=FAILED&format=csv"
    rows = list(csv.DictReader(io.StringIO(shared_collector.http.get(url).text, newline="")))
    assert len(rows) == 6
    assert {row["error.label"] for row in rows} == {"NO_RESULT", "LK_ERROR"}
    assert rows[0]["input.linkedin_profile_url"].startswith("https://")


def test_results_merge_over_runs(shared_collector: CollectorProcess, run: str) -> None:
    other = new_run()
    body = sent("x1", run=other, row="row-07", results=({"id": "other", "extra": True},))
    assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    both = {"run_uid": [run, other]}
    merged = shared_collector.pages("results", **both, limit=10)
    assert len(merged) == 24 * 6 + 1
    assert [row["run_uid"] for row in merged] == sorted(row["run_uid"] for row in merged)
    found = shared_collector.pages("results", **both, **{"custom_data.row_id": "row-07"}, limit=3)
    assert len(found) == 7
    table = shared_collector.http.get("/api/v1/results", params={**both, "format": "csv"}).text
    assert table.splitlines()[0].startswith("extra,id,n.deep,page,text,")
    later = merged[-1]["received_at"]
    assert shared_collector.pages("results", **both, received_after="2100-01-01T00:00:00Z") == []
    assert len(shared_collector.pages("results", **both, received_after=later[:-5] + "Z")) >= 1


def test_the_log_of_a_run_is_listed_in_order(shared_collector: CollectorProcess, run: str) -> None:
    rows = shared_collector.pages(f"runs/{run}/callbacks", limit=11)
    back = shared_collector.pages(f"runs/{run}/callbacks", limit=11, newest_first="true")
    assert back == rows[::-1]
    assert len(rows) == 24 * 2 + 6
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert {row["role"] for row in rows} == {"counted"}


def test_replays_and_conflicts_are_told_apart(shared_collector: CollectorProcess) -> None:
    uid = new_run()
    first = sent("original", run=uid)
    replay = sent("a-replay", run=uid)
    richer = sent("original", run=uid, results=({"a": 1}, {"b": 2}))
    for body in (first, replay, richer):
        assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    rows = shared_collector.pages(f"runs/{uid}/callbacks")
    assert [row["role"] for row in rows] == ["conflict", "counted", "counted"]
    assert shared_collector.get(f"runs/{uid}")["counts"]["results"] == 3
    raw = f"/api/v1/runs/{uid}/callbacks/original/raw"
    assert shared_collector.http.get(raw).content == first
    assert shared_collector.http.get(f"{raw}?seq={rows[2]['seq']}").content == richer
    assert shared_collector.http.get(f"{raw}?seq=999999").status_code == 404


def test_unknown_keys_are_shown_to_the_operator(shared_collector: CollectorProcess) -> None:
    uid = new_run()
    shared_collector.send(sent("c1", run=uid, results=None, people=[{"id": 1}]))
    shared_collector.wait_until_projected()
    (row,) = shared_collector.pages(f"runs/{uid}/callbacks")
    assert row["results"] == 0
    assert row["note"] == "unknown keys: people"


def test_failed_inputs_come_as_they_can_be_given_again(shared_collector: CollectorProcess) -> None:
    uid = new_run()
    error = {"error_label": "LK_ERROR"}
    given = [
        {
            "url": f'https://l/{number}?a="b,c"',
            "nested": {"deep": [number, None], "a.b": "dotted"},
            "custom_data": {"row": f"r-{number}", "in": {"list": "é"}},
        }
        for number in range(3)
    ]
    for number, whole in enumerate(given):
        body = callback(f"f-{number}", run=uid, row=None, status="FAILED", results=(), error=error)
        fields = {name: value for name, value in whole.items() if name != "custom_data"}
        body |= {"input": fields, "custom_data": whole["custom_data"]}
        assert shared_collector.send(encoded(body)).status_code == 200
    assert shared_collector.send(sent("ok", run=uid, status="SUCCEEDED")).status_code == 200
    shared_collector.wait_until_projected()
    path = f"/api/v1/runs/{uid}/inputs?status=FAILED&status=BLOCKED&shape=inputs"

    def key(one: dict[str, Any]) -> str:
        return str(one["custom_data"]["row"])

    lines = shared_collector.http.get(f"{path}&format=ndjson").text.splitlines()
    assert sorted(map(json.loads, lines), key=key) == given
    page = shared_collector.http.get(path).json()
    assert sorted(page["data"], key=key) == given
    table = shared_collector.http.get(f"{path}&format=csv").content.decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert not [name for name in rows[0] if name.startswith(("_", "error", "input."))]
    assert sorted(map(_from_columns, rows), key=key) == given
    for form in ("xlsx", "parquet", "json"):
        assert shared_collector.http.get(f"{path}&format={form}").is_success
    assert shared_collector.http.get(f"/api/v1/runs/{uid}/results?shape=inputs").status_code == 400


def _from_columns(row: dict[str, str]) -> dict[str, Any]:
    """What a row of CSV says an input is."""
    found: dict[str, Any] = {}
    for column, text in row.items():
        if not text:
            continue
        *path, last = parts(column)
        place = found
        for name in path:
            place = place.setdefault(name, {})
        place[last] = json.loads(text) if text.startswith("[") else text
    return found
