"""`edges-collector export` as users run it: beside a collector, cut off, and run again."""

import csv
import io
import json
import signal
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from openpyxl import load_workbook

from app.cli import export as command
from app.sinks.location import read_location
from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.conftest import sqlite_only
from tests.sinks.listed import TABLES, held, location_of
from tests.template import ran


def export(
    env: Mapping[str, str], *arguments: str, code: int = 0, **more: str
) -> subprocess.CompletedProcess[str]:
    done = ran("export", *arguments, env={**env, **more})
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def fill(collector: CollectorProcess, runs: int = 3) -> list[str]:
    """Some runs, of two results each; their uids."""
    uids = [f"run/{n}" for n in range(runs)]
    for n, run in enumerate(uids):
        collector.send(
            sent(f"c{n}", run=run, row=f"row-{n}", results=({"n": n}, {"n": n, "name": "Zoë"}))
        )
    collector.wait_until_projected()
    return uids


def test_results_go_to_files_folders_tables_and_the_output(
    collector: CollectorProcess, tmp_path: Path
) -> None:
    fill(collector)
    said = json.loads(export(collector.env, "--to", f"{tmp_path}/a.csv", "--json").stdout)
    assert (said["runs"], said["rows_written"], said["notes"]) == (3, 6, [])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text("utf-8"))))
    assert [(row["n"], row["name"]) for row in rows][:3] == [("0", ""), ("0", "Zoë"), ("1", "")]
    export(collector.env, "--to", f"{tmp_path}/a.xlsx")
    with closing(load_workbook(tmp_path / "a.xlsx", read_only=True)) as book:
        assert book.sheetnames == ["Results", "Failed inputs", "Run", "File"]
    told = export(collector.env, "--to", f"{tmp_path}/out/")
    assert told.stdout.startswith(f"6 rows of 3 runs written to {tmp_path}/out/")
    assert told.stderr == ""  # no bars, since it is no terminal
    with duckdb.connect() as reading:
        parts = "read_parquet(?, union_by_name = true)"
        found = reading.execute(
            f"SELECT run_uid, n, name FROM {parts} ORDER BY 1, 2, 3 NULLS FIRST",
            [f"{tmp_path}/out/**/*.parquet"],
        ).fetchall()
    assert found == [(f"run/{n}", n, name) for n in range(3) for name in (None, "Zoë")]
    piped = export(collector.env, "--to", "-", "--format", "csv")
    assert list(csv.DictReader(io.StringIO(piped.stdout))) == rows
    table = f"sqlite:///{tmp_path}/crm.db#people"
    export(collector.env, "--to", table)
    # Later only what has changed is written.
    collector.send(sent("late", run="run/1", row="row-9", results=({"n": 9},)))
    collector.wait_until_projected()
    later = json.loads(export(collector.env, "--to", table, "--json").stdout)
    assert (later["runs_written"], later["runs_unchanged"], later["rows_written"]) == (1, 2, 3)
    with closing(sqlite3.connect(tmp_path / "crm.db")) as database:
        found = database.execute("SELECT n FROM people ORDER BY n").fetchall()
    assert found == [(0,), (0,), (1,), (1,), (2,), (2,), (9,)]


@sqlite_only
def test_runs_and_results_are_chosen(collector: CollectorProcess) -> None:
    fill(collector)

    def found(*arguments: str) -> list[int]:
        lines = export(collector.env, "--to", "-", *arguments).stdout.splitlines()
        return [json.loads(line)["data"]["n"] for line in lines]

    assert found("--run", "run/2", "--run", "run/0") == [0, 0, 2, 2]
    assert found("--custom-data", "row_id=row-1") == [1, 1]
    assert found("--complete-only", "--since", "2020-01-01T00:00:00Z") == []
    assert found("--since", "2020-01-01", "--format=ndjson") == [0, 0, 1, 1, 2, 2]
    lines = export(collector.env, "--to", "-", "--fields=n", "--distinct-on=n", "--format=csv")
    assert lines.stdout.split() == ["n", "0", "1", "2"]
    unknown = export(collector.env, "--to", "-", "--fields", "m", code=2)
    assert unknown.stderr.startswith("edges-collector: --fields: ")
    assert found("--since", "2099-01-01T00:00:00+01:00") == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"to": "people"}, "does not say its format"),
        ({"to": "-", "custom_data": ("x",)}, "PATH=VALUE"),
        ({"to": "-", "since": "soon"}, "a time like"),
        ({"to": "sqlite:///none/collector.db#people"}, "the collector itself"),
        ({"to": "sqlite:///x.db#people", "fields": ("n",)}, "are for one file"),
        ({"to": "-", "keep": "last"}, "--distinct-on"),
    ],
)
def test_it_says_how_it_is_called(
    flags: Any, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_DATA_DIR", "none")
    with pytest.raises(SystemExit) as ended:
        command.export(**flags)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@sqlite_only
def test_it_says_what_cannot_be_written(collector: CollectorProcess, tmp_path: Path) -> None:
    fill(collector, runs=1)
    env = collector.env
    assert "no run nope" in export(env, "--to", "-", "--run", "nope", code=1).stderr
    empty = export(env, "--to", "a.csv", code=2, COLLECTOR_DATA_DIR=str(tmp_path / "none"))
    assert "there is no database" in empty.stderr
    lost = export(env, "--to", "postgresql://me:hidden@127.0.0.1:1/crm#people", code=1)
    assert "the same command goes on from there" in lost.stderr
    assert "hidden" not in lost.stderr


@sqlite_only
@pytest.mark.parametrize("kind", [*TABLES, "folder"])
def test_after_kill_9_the_same_command_goes_on_to_the_same_end(
    collector: CollectorProcess, tmp_path: Path, kind: str
) -> None:
    """In the middle of the second run, when its rows are there and not committed."""
    fill(collector)
    with location_of(kind.replace("folder", "sqlite"), tmp_path) as table:
        location = read_location(f"{tmp_path}/out/", "csv") if kind == "folder" else table
        to = ["--to", location.shown, *(["--format=csv"] if kind == "folder" else [])]
        killed = export(
            collector.env, *to, code=-signal.SIGKILL, COLLECTOR_CRASH_AT="sink.merged:2"
        )
        assert killed.stdout == ""
        said = json.loads(export(collector.env, *to, "--json").stdout)
        assert (said["runs_written"], said["runs_unchanged"]) == (2, 1)
        rows = held(location) if location is table else _rows_below(location.path)
        assert [(row["_run_uid"], int(row["n"]), row["name"] or None) for row in rows] == [
            (f"run/{n}", n, name) for n in range(3) for name in (None, "Zoë")
        ]


def _rows_below(folder: Path) -> list[dict[str, Any]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert [path.name for path in files] == ["_version", "part.csv"] * 3
    return [
        row
        for path in files[1::2]
        for row in csv.DictReader(io.StringIO(path.read_text("utf-8"), newline=""))
    ]
