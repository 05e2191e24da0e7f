"""What may be asked of a download: options of CSV, compression, names."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.api.downloads import accepted_coding, disposition
from app.canonical import canonical
from tests.callbacks import callback, encoded, new_run
from tests.cli.test_rebuild import rebuild
from tests.collector_process import CollectorProcess
from tests.conftest import sqlite_only
from tests.export.test_compression import unpacked

ACTION = "linkedin-extract-people"
FORMULA = '=HYPERLINK("https://evil.example")'
CODINGS = ("gzip", "zstd")


@pytest.fixture(scope="module")
def run(shared_collector: CollectorProcess) -> str:
    """A run of two inputs, with every nasty name and value."""
    uid = new_run()
    data = {
        "a.b": "dotted",
        "a": {"b": "nested"},
        "input": {"linkedin_profile_url": "of the data"},
        "_run_uid": "not ours",
        "formula": FORMULA,
        "delta": -5,
        "big": 10**30,
        "list": [{"x": 1}],
        "none": None,
    }
    for row in ("row-1", "row-2"):
        body = callback(f"{uid}-{row}", run=uid, row=row, results=(data, {"name": "日本"}))
        body["run"]["action_name"] = ACTION
        body["custom_data"] |= {
            "crm.id": f"{uid}-{row}",
            "crm": {"id": 7},
            "only.dotted": f"line {row} of {uid}",
        }
        assert shared_collector.send(encoded(body)).status_code == 200
    shared_collector.wait_until_projected()
    return uid


def fetched(collector: CollectorProcess, path: str, coding: str | None = None) -> httpx2.Response:
    headers = {"Accept-Encoding": coding or "identity"}
    return collector.http.get(f"/api/v1/{path}", headers=headers)


def as_sent(collector: CollectorProcess, path: str, coding: str) -> tuple[httpx2.Response, bytes]:
    """The answer, and its body as it travelled."""
    url, headers = f"/api/v1/{path}", {"Accept-Encoding": coding}
    with collector.http.stream("GET", url, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


def table(text: str, separator: str = ",") -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def paths(run: str) -> Sequence[str]:
    return (f"runs/{run}/results", f"results?run_uid={run}", f"runs/{run}/inputs")


def asked(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


def test_names_that_would_collide_keep_their_values(
    shared_collector: CollectorProcess, run: str
) -> None:
    rows = table(fetched(shared_collector, f"runs/{run}/results?format=csv").text)
    first = rows[0]
    assert first["a\\.b"] == "dotted"
    assert first["a.b"] == "nested"
    assert first["\\input.linkedin_profile_url"] == "of the data"
    assert first["input.linkedin_profile_url"].startswith("https://")
    assert (first["\\_run_uid"], first["_run_uid"]) == ("not ours", run)
    assert (first["custom_data.crm.id"], first["custom_data.crm\\.id"][:36]) == ("7", run)
    (flat, *_) = shared_collector.pages(f"runs/{run}/results", shape="flat")
    assert first.keys() >= flat.keys()
    assert {name for name, cell in first.items() if cell} <= flat.keys()


def test_custom_data_is_looked_up_by_its_names_as_they_are(
    shared_collector: CollectorProcess, run: str
) -> None:
    value = f"{run}-row-2"
    found = shared_collector.pages(f"runs/{run}/results", **{"custom_data.crm.id": value})
    assert {row["custom_data"]["row_id"] for row in found} == {"row-2"}
    for text in (value, f"line row-2 of {run}"):  # of a name with a like, and of one without
        assert [row["run_uid"] for row in shared_collector.pages("runs", q=text)] == [run]


def test_csv_as_spreadsheets_want_it(shared_collector: CollectorProcess, run: str) -> None:
    for path in paths(run):
        plain = fetched(shared_collector, asked(path, "format=csv"))
        options = "format=csv&bom=true&separator=semicolon&guard=true"
        answer = fetched(shared_collector, asked(path, options))
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = table(answer.content.decode("utf-8-sig"), ";")
        harmless = [{name: cell.removeprefix("'") for name, cell in row.items()} for row in rows]
        assert harmless == table(plain.text)
        tabbed = fetched(shared_collector, asked(path, "format=csv&separator=tab&bom=false"))
        assert table(tabbed.text, "\t") == table(plain.text)
    guarded = fetched(shared_collector, f"runs/{run}/results?format=csv&guard=true")
    assert (table(guarded.text)[0]["formula"], table(guarded.text)[0]["delta"]) == (
        f"'{FORMULA}",
        "-5",
    )


@pytest.mark.parametrize("shape", ["flat", "record"])
def test_csv_has_cells_in_either_shape(
    shared_collector: CollectorProcess, run: str, shape: str
) -> None:
    for path in paths(run):
        answer = fetched(shared_collector, asked(path, f"format=csv&shape={shape}"))
        rows = table(answer.text)
        pages = shared_collector.get(
            path.partition("?")[0],
            shape=shape,
            **({"run_uid": run} if path.startswith("results") else {}),
        )["data"]
        assert len(rows) == len(pages)
        for row, page in zip(rows, pages, strict=True):
            assert {name for name, cell in row.items() if cell} == {
                name for name, value in page.items() if value is not None
            }


def test_parquet_is_what_the_other_formats_are(
    shared_collector: CollectorProcess, run: str
) -> None:
    for path in paths(run):
        answer = fetched(shared_collector, asked(path, "format=parquet"))
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        assert answer.headers["content-disposition"].endswith(".parquet")
        assert "vary" not in answer.headers
        read = pq.read_table(pa.BufferReader(answer.content))
        rows = table(fetched(shared_collector, asked(path, "format=csv")).text)
        assert read.column_names == list(rows[0])
        for one, other in zip(read.to_pylist(), rows, strict=True):
            assert {name: as_csv(value) for name, value in one.items()} == other
        for query in ("format=parquet", "format=parquet&shape=record"):
            file, again = (fetched(shared_collector, asked(path, query)).content for _ in "12")
            assert file == again
        nested = pq.read_table(pa.BufferReader(file)).to_pylist()
        records = fetched(shared_collector, asked(path, "format=json")).json()
        for one, record in zip(nested, records, strict=True):
            for name, value in one.items():
                assert value is None or as_csv(value) == as_csv(record[name])
    types = {one.name: str(one.type) for one in read.schema}
    assert (types["_result_count"], types["_started_at"]) == ("int64", "timestamp[us, tz=UTC]")


@pytest.mark.parametrize("query", ["unwind=list", "join=inputs", "distinct_on=big&keep=merge"])
def test_parquet_has_made_up_rows_as_well(
    shared_collector: CollectorProcess, run: str, query: str
) -> None:
    url = f"runs/{run}/results?{query}&format="
    rows = table(fetched(shared_collector, url + "csv").text)
    read = pq.read_table(pa.BufferReader(fetched(shared_collector, url + "parquet").content))
    found = [{k: as_csv(value) for k, value in row.items()} for row in read.to_pylist()]
    assert found == rows


def as_csv(value: Any) -> str:
    """A value as a cell of CSV."""
    match value:
        case None:
            return ""
        case str():
            return value
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case _:
            return canonical(value).decode()


def test_without_pyarrow_parquet_says_what_to_install(
    start_collector: Callable[..., CollectorProcess], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['pyarrow'] = None\n", "utf-8"
    )
    collector = start_collector({"PYTHONPATH": str(tmp_path)})
    answer = collector.http.get("/api/v1/results?format=parquet")
    assert (answer.status_code, answer.json()["parameter"]) == (501, "format")
    assert "edges-collector[parquet]" in answer.json()["detail"]
    accept = {"Accept": "application/vnd.apache.parquet"}
    assert collector.http.get("/api/v1/results", headers=accept).status_code == 501
    assert collector.http.get("/api/v1/results?format=csv").status_code == 200


@sqlite_only
def test_parquet_breaks_off_where_the_catalogue_is_of_other_results(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    """And says what to do, in the log: by then, the answer is under way."""
    first = start_collector()
    body = callback("c1", results=({"n": 1},)) | {"found": [{"n": "a text"}]}
    assert first.send(encoded(body)).status_code == 200
    first.wait_until_projected()
    first.stop()
    env = {"COLLECTOR_RESULT_KEYS": '["found"]'}
    second = start_collector(env)
    url = "/api/v1/results?format=parquet"
    with pytest.raises(httpx2.RemoteProtocolError):
        second.http.get(url)
    assert "column 'n' does not hold what is in the data" in second.log
    assert rebuild(second.env).returncode == 0
    (row,) = pq.read_table(pa.BufferReader(second.http.get(url).content)).to_pylist()
    assert row["n"] == "a text"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("format=json&bom=true", "bom"),
        ("format=ndjson&separator=tab", "separator"),
        ("guard=false", "guard"),
        ("format=parquet&guard=true", "guard"),
        ("format=parquet&compression=gzip", "compression"),
        ("compression=gzip", "compression"),
        ("format=csv&separator=pipe", "separator"),
        ("format=csv&bom=1", "bom"),
        ("format=csv&compression=brotli", "compression"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    shared_collector: CollectorProcess, run: str, query: str, names: str
) -> None:
    for path in paths(run):
        answer = fetched(shared_collector, asked(path, query))
        assert answer.status_code == 400
        assert answer.json()["parameter"] == names


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
def test_a_compressed_file_is_the_same_file_made_smaller(
    shared_collector: CollectorProcess, run: str, form: str, name: str
) -> None:
    extension = {"gzip": "gz", "zstd": "zst"}[name]
    for path in paths(run):
        plain = fetched(shared_collector, asked(path, f"format={form}")).content
        url = asked(path, f"format={form}&compression={name}")
        answer, file = as_sent(shared_collector, url, "zstd, gzip")
        assert answer.headers["content-type"] == f"application/{name}"
        assert "content-encoding" not in answer.headers
        assert f'.{form}.{extension}"' in answer.headers["content-disposition"]
        assert unpacked(name, file) == plain
        assert as_sent(shared_collector, url, "identity")[1] == file


@pytest.mark.parametrize("name", CODINGS)
def test_a_file_travels_compressed_if_its_reader_likes_it(
    shared_collector: CollectorProcess, run: str, name: str
) -> None:
    for path in paths(run):
        for form in ("csv", "json", "ndjson"):
            url = asked(path, f"format={form}")
            plain = fetched(shared_collector, url)
            assert "content-encoding" not in plain.headers
            answer, body = as_sent(shared_collector, url, f"{name}, br")
            assert answer.headers["content-encoding"] == name
            assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
            assert unpacked(name, body) == plain.content
            for header in ("content-type", "content-disposition"):
                assert answer.headers[header] == plain.headers[header]


@pytest.mark.parametrize(
    ("accepted", "name"),
    [
        ("", None),
        ("identity", None),
        ("br, deflate", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip", "gzip"),
        ("zstd;q=0", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("*, zstd;q=0", "gzip"),
        ("identity, gzip;q=0.2", None),
        ("identity;q=0.1, gzip;q=0.2", "gzip"),
        ("gzip;q=high", None),
        ("gzip;q=2", None),
    ],
)
def test_the_coding_is_what_the_reader_likes_best(accepted: str, name: str | None) -> None:
    coding = accepted_coding(accepted)
    assert (coding.name if coding else None) == name


def test_files_have_telling_names(shared_collector: CollectorProcess, run: str) -> None:
    today = datetime.now(UTC).date()
    names = [file_name(fetched(shared_collector, asked(p, "format=csv"))) for p in paths(run)]
    assert names[0] == f"results-{ACTION}-{run}.csv"
    assert names[1] in {f"results-merged-{day}.csv" for day in (today, datetime.now(UTC).date())}
    assert names[2] == f"inputs-{ACTION}-{run}.csv"


def file_name(answer: httpx2.Response) -> str:
    found = re.fullmatch(
        r"attachment; filename=\"([\w.-]+)\"; filename\*=UTF-8''([\w.-]+)",
        answer.headers["content-disposition"],
        re.ASCII,
    )
    assert found is not None
    assert found[1] == found[2]
    return found[1]


@pytest.mark.parametrize(
    ("name", "latin", "full"),
    [
        ('a"b/../c\\d', "a-b-..-c-d", "a-b-..-c-d"),
        ("../../etc/passwd", "etc-passwd", "etc-passwd"),
        ("Zoë & Söhne", "Zoe-Sohne", "Zoë-Söhne"),
        ("日本", None, "日本"),
        ("a\r\nSet-Cookie: b", "a-Set-Cookie-b", "a-Set-Cookie-b"),
        ("a\u202excod.exe", "a-xcod.exe", "a-xcod.exe"),
        ("x" * 500, "x" * 80, "x" * 80),
        ("℀", "a-c", None),
        ("...", None, None),
        (None, None, None),
    ],
)
def test_names_are_made_safe(name: str | None, latin: str | None, full: str | None) -> None:
    header = disposition(("results", name, "run-1"), "csv")
    assert header.isascii()
    assert header.isprintable()
    found = re.fullmatch(r"attachment; filename=\"(.*)\"; filename\*=UTF-8''(\S*)", header)
    assert found is not None
    due = ["-".join(filter(None, ("results", part, "run-1"))) + ".csv" for part in (latin, full)]
    assert [found[1], unquote(found[2])] == due


def test_the_document_names_what_downloads_take(shared_collector: CollectorProcess) -> None:
    document = shared_collector.http.get("/openapi.json").json()
    for path in ("runs/{run_uid}/results", "results", "runs/{run_uid}/inputs"):
        read = document["paths"][f"/api/v1/{path}"]["get"]
        found = {parameter["name"]: parameter for parameter in read["parameters"]}
        assert found["separator"]["schema"]["enum"] == ["comma", "semicolon", "tab"]
        assert found["compression"]["schema"]["enum"] == list(CODINGS)
        assert found.keys() >= {"bom", "guard"}
        content = read["responses"]["200"]["content"]
        assert "application/gzip" in content
        binary = {"type": "string", "format": "binary"}
        assert content["application/vnd.apache.parquet"]["schema"] == binary
        assert "501" in read["responses"]
