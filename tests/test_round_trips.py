"""What is downloaded, in every format and as others read it, is what the simulated Edges made."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.collector_process import CollectorProcess
from tests.databases import KINDS, fresh_database
from tests.edges_process import canonical, simulated_edges, wait_until

Made = Counter[bytes]
Rows = Iterable[Mapping[str, Any]]
Served = tuple[CollectorProcess, str, list[dict[str, Any]]]
INPUTS = 25


@pytest.fixture(scope="module", params=KINDS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A collector with a run that is proven complete, and all results that Edges made of it."""
    with (
        simulated_edges(seed=11, results_per_input=(1, 6), failed_share=0.1) as edges,
        fresh_database(request.param, tmp_path_factory.mktemp("served") / "data") as env,
    ):
        collector = CollectorProcess({**env, **edges.env}).wait_until_ready()
        run = edges.launch(INPUTS, collector, drop_share=0.1, duplicate_share=0.1)
        path = f"/api/v1/runs/{run}"
        wait_until(
            lambda: collector.http.get(path).json().get("completeness") == "complete",
            lambda: f"not complete: {collector.http.get(path).text}",
        )
        texts = edges.http.get(f"{edges.origin}/_simulator/runs/{run}/truth/results").content
        made = [json.loads(text) for text in texts.splitlines()]
        assert len(made) > INPUTS
        yield collector, run, made
        collector.kill()


def downloaded(served: Served, form: str) -> bytes:
    collector, run, _ = served
    answer = collector.http.get(f"/api/v1/runs/{run}/results?format={form}")
    assert answer.status_code == 200, answer.text
    return answer.content


def counted(rows: Rows) -> Made:
    """Rows whatever their order, without columns of ours."""
    return Counter(
        canonical({name: value for name, value in row.items() if not is_ours(name)}) for row in rows
    )


def is_ours(name: str) -> bool:
    return name.startswith(("_", "custom_data.", "input."))


# ------------------------------------------------- what a format makes of a value


def as_text(value: Any) -> str:
    """A cell of CSV."""
    if isinstance(value, str):
        return value
    return "" if value is None else canonical(value).decode()


def as_cell(value: Any) -> Any:
    """A cell of a workbook."""
    return canonical(value).decode() if isinstance(value, (list, dict)) else value


def as_typed(value: Any) -> Any:
    """A value of Parquet: times are of UTC; what an object lacks is null; 1 is 1.0."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: as_typed(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [as_typed(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def each(make: Callable[[Any], Any], rows: Rows) -> list[dict[str, Any]]:
    return [{name: make(value) for name, value in row.items()} for row in rows]


# ------------------------------------------------------------------ the readers


def read_csv(file: bytes) -> Rows:
    return csv.DictReader(io.StringIO(file.decode(), newline=""))


def read_by_pandas(file: bytes) -> Rows:
    frame = pd.read_csv(io.BytesIO(file), dtype=str, keep_default_na=False)
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def read_by_openpyxl(file: bytes) -> Rows:
    book = openpyxl.load_workbook(io.BytesIO(file), read_only=True)
    names, *rows = book.worksheets[0].iter_rows(values_only=True)
    return [dict(zip(map(str, names), row, strict=True)) for row in rows]


def read_by_pyarrow(file: bytes) -> Rows:
    rows: Rows = pq.read_table(io.BytesIO(file)).to_pylist()
    return rows


def read_by_duckdb(path: Path) -> Rows:
    with duckdb.connect() as connection:
        found = connection.sql("SELECT * FROM read_parquet(?)", params=[str(path)])
        rows: Rows = found.to_arrow_table().to_pylist()
        return rows


def test_lines_of_json(served: Served) -> None:
    lines = downloaded(served, "ndjson").splitlines()
    assert Counter(canonical(json.loads(line)["data"]) for line in lines) == counted(served[2])


@pytest.mark.parametrize("read", [read_csv, read_by_pandas])
def test_csv(served: Served, read: Callable[[bytes], Rows]) -> None:
    assert counted(read(downloaded(served, "csv"))) == counted(each(as_text, served[2]))


def test_a_workbook(served: Served) -> None:
    rows = read_by_openpyxl(downloaded(served, "xlsx"))
    assert counted(rows) == counted(each(as_cell, served[2]))


def test_parquet(served: Served, tmp_path: Path) -> None:
    file = downloaded(served, "parquet")
    path = tmp_path / "results.parquet"
    path.write_bytes(file)
    made = counted(each(as_typed, served[2]))
    assert counted(each(as_typed, read_by_pyarrow(file))) == made
    assert counted(each(as_typed, read_by_duckdb(path))) == made
