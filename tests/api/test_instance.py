"""What the API says of the installation itself, and its demo."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.callbacks import sent
from tests.collector_process import TOKEN, CollectorProcess
from tests.conftest import sqlite_only
from tests.edges_process import EdgesProcess, simulated_edges, wait_until

Start = Callable[..., CollectorProcess]


def test_health_gives_figures(shared_collector: CollectorProcess) -> None:
    shared_collector.send(sent("c1"))
    shared_collector.send(sent("c1"))
    shared_collector.send(b"{}")
    shared_collector.wait_until_projected()
    told = shared_collector.get("health")
    assert told["status"] == "ready"
    assert told["checks"] == shared_collector.http.get("/readyz").json()["checks"]
    outcomes = told["callbacks"]["outcomes"]
    assert outcomes == {"stored": 1, "duplicate": 1, "conflict": 0, "quarantined": 1}
    assert told["lag"] == {"callbacks": 0, "age_s": 0}
    assert told["quarantined"] == 1
    assert all(size > 0 for size in told["database_bytes"].values())
    assert 0 < told["disk"]["free_bytes"] <= told["disk"]["total_bytes"]
    assert told["versions"]["database"].split()[0] in ("SQLite", "PostgreSQL")
    assert told["edges"] == {"key_is_set": False, "budget_left": None, "budget_wait_s": 0}
    wait_until(
        lambda: sum(shared_collector.get("health")["callbacks"]["recent"]["counts"]) == 2,
        "the callbacks do not show among the recent ones",
    )


def test_the_token_is_told_to_whoever_asks_for_it(shared_collector: CollectorProcess) -> None:
    told = shared_collector.get("ingest")
    assert told["url"] == f"{shared_collector.base_url}/callbacks"
    assert "COLLECTOR_PUBLIC_URL is not set" in told["problem"]
    assert TOKEN not in str(told)
    assert shared_collector.http.post("/api/v1/ingest/token").json() == {"token": TOKEN}


@sqlite_only
def test_an_address_that_edges_reaches_is_no_problem(start_collector: Start) -> None:
    collector = start_collector({"COLLECTOR_PUBLIC_URL": "https://collector.example.com/"})
    told = collector.get("ingest")
    assert (told["url"], told["problem"]) == ("https://collector.example.com/callbacks", None)


@sqlite_only
def test_a_demo_is_a_run_that_ends_unverified_and_leaves_no_process(
    start_collector: Start,
) -> None:
    collector = start_collector()
    assert collector.get("demo")["is_available"] is True
    begun = collector.http.post("/api/v1/demo")
    assert begun.status_code == 202, begun.text
    uid = begun.json()["run_uid"]
    simulators = _children(collector)
    refused = collector.http.post("/api/v1/demo")
    assert (refused.status_code, refused.json()["title"]) == (409, "A demo is going on")
    assert len(simulators) == 1
    wait_until(lambda: not collector.get("demo")["is_going"], lambda: collector.log[-2_000:], 90)
    collector.wait_until_projected()
    run = collector.get(f"runs/{uid}")
    assert run["completeness"] == "unverified"
    assert run["counts"]["inputs"] == 100
    assert run["counts"]["inputs_pending"] == 0
    assert run["counts"]["duplicates"] > 0
    results = collector.get(f"runs/{uid}/results", limit=1)["data"]
    assert results[0]["custom_data"]["demo"] == "first steps"
    assert not _children(collector)
    assert collector.http.post("/api/v1/demo").status_code == 202, "another can begin"


@sqlite_only
def test_a_demo_ends_with_the_collector(start_collector: Start) -> None:
    collector = start_collector()
    assert collector.http.post("/api/v1/demo").status_code == 202
    (simulator,) = _children(collector)
    assert collector.stop() == 0
    wait_until(lambda: not Path(f"/proc/{simulator}").exists(), "the simulated Edges goes on")


@sqlite_only
def test_a_demo_that_breaks_off_is_over(start_collector: Start) -> None:
    collector = start_collector()
    assert collector.http.post("/api/v1/demo").status_code == 202
    (simulator,) = _children(collector)
    os.kill(simulator, signal.SIGKILL)
    wait_until(lambda: not collector.get("demo")["is_going"], lambda: collector.log[-2_000:], 90)
    assert "demo broke off" in collector.log


@sqlite_only
def test_there_is_no_demo_beside_a_key_of_edges(start_collector: Start) -> None:
    with simulated_edges() as edges:
        collector = start_collector(_env(edges))
        assert "COLLECTOR_EDGES_API_KEY" in collector.get("demo")["refusal"]
        refused = collector.http.post("/api/v1/demo")
        assert refused.status_code == 409


def _env(edges: EdgesProcess) -> dict[str, Any]:
    return dict(edges.env)


def _children(collector: CollectorProcess) -> list[int]:
    """The simulated Edges that the collector started."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == str(collector.process.pid) and b"simulate" in command:
            found.append(int(folder.name))
    return found
