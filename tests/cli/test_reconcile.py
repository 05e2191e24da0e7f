"""`edges-collector reconcile`: on a database, and at a running server."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import held_lock
from tests.collector_process import ADMIN_KEY, CollectorProcess, free_port
from tests.conftest import postgres_only, sqlite_only
from tests.edges_process import EdgesProcess, simulated_edges
from tests.template import ran

Start = Callable[..., CollectorProcess]


@pytest.fixture(scope="module")
def edges() -> Iterator[EdgesProcess]:
    with simulated_edges(seed=9, results_per_input=(1, 4), page_size=2, failed_share=0.2) as one:
        yield one


def reconcile(
    env: Mapping[str, str], *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = ran("reconcile", *arguments, env=env)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def records(done: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_on_a_database_runs_are_collected_proven_or_said_to_lack_something(
    database: Mapping[str, str], edges: EdgesProcess
) -> None:
    env = {**database, **edges.env}
    never = edges.launch(10, None)
    lacking = edges.launch(10, None, withheld_share=0.3)
    withheld = edges.settle(lacking)["results_withheld"]
    edges.settle(never)
    whole, short = records(reconcile(env, never, lacking, "--json", code=1))
    assert whole["completeness"] == "complete"
    assert whole["counts"]["results"] == edges.truth(never)["results_total"]
    assert (short["completeness"], short["missing"]["results"]) == ("incomplete", withheld)
    said = reconcile(env, "--all-open", "no-such-run", code=1).stdout.splitlines()
    assert said[0].startswith("run no-such-run failed: ")
    assert said[1].startswith(f"run {lacking} (")
    assert f" is incomplete: {edges.results(lacking).total()} results of" in said[1]
    assert f"{withheld} missing" in said[1]
    assert len(said) == 2


def test_at_a_server_it_waits_until_the_run_was_looked_at(
    start_collector: Start, edges: EdgesProcess
) -> None:
    collector = start_collector(env=edges.env)
    run_uid = edges.launch(10, None)
    edges.settle(run_uid)
    at_server = {"COLLECTOR_URL": collector.base_url, "COLLECTOR_API_KEY": ADMIN_KEY}
    assert f"run {run_uid}" in reconcile(at_server, run_uid).stdout
    (unknown,) = records(reconcile(at_server, "--all-open", "no-such-run", "--json", code=1))
    assert "no-such-run" in unknown["problem"]


@postgres_only
def test_on_a_database_that_a_server_has_both_go_on(
    database: Mapping[str, str], start_collector: Start, edges: EdgesProcess
) -> None:
    collector = start_collector(env=edges.env)
    run_uid = edges.launch(10, collector, drop_share=0.5)
    edges.settle(run_uid)
    (record,) = records(reconcile({**database, **edges.env}, run_uid, "--json"))
    assert record["completeness"] == "complete"
    assert collector.get(f"runs/{run_uid}")["counts"] == record["counts"]
    at_server = {"COLLECTOR_URL": collector.base_url, "COLLECTOR_API_KEY": ADMIN_KEY}
    # What went wrong before is no answer to who asks now.
    edges.change(error_share_5xx=1.0)
    assert "HTTP 50" in reconcile(at_server, run_uid, code=1).stdout
    edges.change(error_share_5xx=0.0)
    (record,) = records(reconcile(at_server, run_uid, "--json"))
    assert record["completeness"] == "complete"


def test_what_is_no_collector_is_said_to_be_none() -> None:
    nobody = {"COLLECTOR_URL": f"http://127.0.0.1:{free_port()}", "COLLECTOR_API_KEY": ADMIN_KEY}
    assert "no collector answers" in reconcile(nobody, "some-run", code=1).stderr
    assert "no URL" in reconcile({**nobody, "COLLECTOR_URL": "http://[::"}, "r", code=2).stderr


@sqlite_only
def test_it_says_how_it_is_called(database: Mapping[str, str], edges: EdgesProcess) -> None:
    assert "--all-open" in reconcile(database, code=2).stderr
    assert "COLLECTOR_EDGES_API_KEY" in reconcile(database, "some-run", code=2).stderr
    with held_lock(Path(database["COLLECTOR_DATA_DIR"]) / "collector.db"):
        busy = reconcile({**database, **edges.env}, "some-run", code=1).stderr
    assert "another collector has" in busy
    assert "Example" in reconcile({}, "--help").stdout
