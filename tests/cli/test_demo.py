"""The demo: what a newcomer sees first."""

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.collector_process import free_port


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_demo_collects_a_whole_run(tmp_path: Path) -> None:
    done = run("demo", "--inputs", "500", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "Callbacks",
        "Results",
        "Failed",
        "Recovered",
        "Missing",
        "Files",
    ]
    assert lines[4].split(maxsplit=1) == ["Missing", "nothing; the run is complete"]
    assert done.stderr == ""
    rows = table(tmp_path / "out" / "results.csv")
    text = (tmp_path / "out" / "results.ndjson").read_text("utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    assert f"{len(rows):,} stored" in lines[1]
    assert f"Edges reports {len(rows):,}" in lines[1]
    assert [row["_result_id"] for row in rows] == [record["result_id"] for record in records]
    failed = table(tmp_path / "out" / "failed-inputs.csv")
    labels = Counter(row["error.label"] for row in failed)
    assert f"{len(failed)} inputs" in lines[2]
    assert all(f"{label} {count}" in lines[2] for label, count in labels.items())
    shown = {record["custom_data"]["row_id"] for record in records}
    assert shown.isdisjoint(row["custom_data.row_id"] for row in failed)
    assert len(shown) + len(failed) == 500


def test_lost_callbacks_are_made_up_for_and_told(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    done = run("demo", "--inputs", "150", "--drop-share", "0.1", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["missing"] == {"results": 0, "inputs": 0}
    assert said["run"]["completeness"] == "complete"
    assert said["run"]["losses"]["results"] > 0
    assert said["run"]["losses"]["callbacks"] > 0


def test_wrong_use_ends_with_2() -> None:
    assert run("demo", "--inputs", "0").returncode == 2
    assert run("demo", "--drop-share", "2").returncode == 2
    assert run("simulate", "--scenario", '{"no_such_knob": 1}').returncode == 2
    done = run("serve", "--log-level", "loud")
    assert done.returncode == 2
    assert "COLLECTOR_LOG_LEVEL" in done.stderr


def test_a_simulated_edges_ends_after_its_time() -> None:
    done = run("simulate", "--port", str(free_port()), "--for-s", "0.2")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("stopped\n")
