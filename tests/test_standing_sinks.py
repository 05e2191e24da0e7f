"""Sinks that run by themselves: real collectors, real targets, both stores."""

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.callbacks import callback, encoded, new_run
from tests.collector_process import CollectorProcess
from tests.conftest import postgres_only, sqlite_only
from tests.databases import fresh_postgres, run
from tests.edges_process import simulated_edges, wait_until

PAUSES = {"COLLECTOR_DELIVERY_PAUSES_S": "[0.05, 0.05, 0.05]"}
Start = Callable[..., CollectorProcess]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "sinks"
    path.mkdir()
    return path


@pytest.fixture
def env(folder: Path) -> Mapping[str, str]:
    return {
        **PAUSES,
        "COLLECTOR_SINK_DIR": str(folder),
        "COLLECTOR_SECRET_KEY": "the-same-for-all-replicas-of-the-tests",
    }


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a database of the user's own."""
    with fresh_postgres() as url:
        yield url


def make(collector: CollectorProcess, to: str, **more: Any) -> Any:
    answer = collector.http.post("/api/v1/sinks", json={"to": to, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def finish(
    collector: CollectorProcess, *, rows: int = 2, run_uid: str | None = None, **more: Any
) -> str:
    """A run of some rows, the last of which ends it."""
    run_uid = run_uid or new_run()
    for row in range(rows):
        body = callback(
            f"{run_uid}-{row}",
            run=run_uid,
            row=f"row-{row}",
            results=({"row": row, "name": "Zoë"},),
            status="SUCCEEDED" if row == rows - 1 else "RUNNING",
            **more,
        )
        assert collector.send(encoded(body)).status_code == 200
    return run_uid


def runs_of(collector: CollectorProcess, sink: Any, **filters: str) -> dict[str, Any]:
    return {one["run_uid"]: one for one in collector.pages(f"sinks/{sink['id']}/runs", **filters)}


def wait_for(collector: CollectorProcess, sink: Any, run_uid: str, state: str = "done") -> Any:
    def stands() -> str:
        found = runs_of(collector, sink)
        return str(found.get(run_uid, {}).get("state"))

    wait_until(lambda: stands() == state, lambda: f"{runs_of(collector, sink)}\n{collector.log}")
    return runs_of(collector, sink)[run_uid]


def people(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT _run_uid, row FROM people ORDER BY 1, 2").fetchall()


def test_what_is_complete_is_there_once_and_again_when_it_changed(
    start_collector: Start, env: Mapping[str, str], postgres: str, folder: Path
) -> None:
    with simulated_edges(seed=3, results_per_input=(1, 3)) as edges:
        collector = start_collector({**env, **edges.env})
        table = make(collector, f"{postgres}#people")
        files = make(collector, "parts/", format="csv")
        run_uid = edges.launch(
            6, collector, parameters={"sync_mode": "incremental"}, status_scope="run"
        )
        edges.settle(run_uid)
        for sink in (table, files):
            written = wait_for(collector, sink, run_uid)
            assert written["rows"] == edges.results(run_uid).total()
            assert written["last_problem"] is None
        before = run(postgres, "SELECT _result_id FROM people")
        assert len(before) == edges.results(run_uid).total()
        assert collector.http.post(f"/api/v1/runs/{run_uid}/continue").status_code == 202
        edges.settle(run_uid)
        wait_until(
            lambda: (
                collector.get(f"runs/{run_uid}")["counts"]["results"] > len(before)
                and collector.get(f"runs/{run_uid}")["completeness"] == "complete"
            ),
            "no second round",
        )
        results = collector.get(f"runs/{run_uid}")["counts"]["results"]
        for sink in (table, files):
            wait_until(
                lambda: runs_of(collector, sink)[run_uid]["rows"] == results,  # noqa: B023
                lambda: str(runs_of(collector, sink)),  # noqa: B023
            )
        ids = [row[0] for row in run(postgres, "SELECT _result_id FROM people")]
        assert len(set(ids)) == len(ids) == results
        with (folder / "parts" / f"run_uid={run_uid}" / "part.csv").open(newline="") as part:
            assert len(list(csv.DictReader(part))) == results


def test_runs_go_where_the_filters_say_and_those_before_by_back_fill(
    start_collector: Start, env: Mapping[str, str], folder: Path
) -> None:
    collector = start_collector(env)
    early = finish(collector)
    collector.wait_until_projected()
    assert collector.get(f"runs/{early}")["completeness"] != "open"
    later_only = make(collector, "sqlite:///later.db#people")
    everything = make(collector, "sqlite:///all.db#people", backfill=True)
    mine = make(collector, "sqlite:///mine.db#people", filters={"custom_data.row_id": "row-1"})
    other = make(collector, "sqlite:///other.db#people", filters={"action_name": "another"})
    paused = make(collector, "sqlite:///paused.db#people", state="paused")
    late = finish(collector)
    for sink, due in ((later_only, {late}), (everything, {early, late}), (mine, {late})):
        for run_uid in due:
            wait_for(collector, sink, run_uid)
        assert set(runs_of(collector, sink)) == due
    assert people(folder / "mine.db") == [(late, 1)]
    assert len(people(folder / "all.db")) == 4
    assert runs_of(collector, other) == {}
    assert not (folder / "paused.db").exists()
    path = f"/api/v1/sinks/{paused['id']}"
    assert collector.http.patch(path, json={"state": "active"}).json()["state"] == "active"
    wait_for(collector, paused, late)
    # A late result is there once somebody asks, without a proof that would say so.
    collector.send(encoded(callback("late", run=late, row="row-9", results=({"row": 9},))))
    collector.wait_until_projected()
    asked = collector.http.post(f"/api/v1/sinks/{mine['id']}/runs/{late}/write")
    assert asked.status_code == 202
    again = collector.http.post(f"{path}/runs/{late}/write").json()
    assert (again["run_uid"], again["state"]) == (late, "pending")
    wait_until(lambda: runs_of(collector, paused)[late]["rows"] == 3, "not written again")
    assert collector.http.delete(path).status_code == 204
    assert collector.http.get(path).status_code == 404
    assert len(people(folder / "paused.db")) == 3


@sqlite_only
def test_what_cannot_be_written_is_tried_again_and_told(
    start_collector: Start, env: Mapping[str, str], folder: Path
) -> None:
    collector = start_collector(env)
    sink = make(collector, "postgresql://me:hidden@127.0.0.1:1/crm#people", description="CRM")
    assert sink["to"] == "postgresql://me:***@127.0.0.1:1/crm#people"
    tested = collector.http.post(f"/api/v1/sinks/{sink['id']}/test").json()
    assert tested["is_reachable"] is False
    run_uid = finish(collector)
    failed = wait_for(collector, sink, run_uid, "failed")
    assert failed["failed_tries"] == 4
    assert "postgresql://me:***@127.0.0.1:1" in failed["last_problem"]
    assert collector.get("sinks")["data"][0]["runs"] == {"pending": 0, "done": 0, "failed": 1}
    assert list(runs_of(collector, sink, state="failed")) == [run_uid]
    path = f"/api/v1/sinks/{sink['id']}"
    moved = collector.http.patch(path, json={"to": f"sqlite:///{folder}/crm.db#people"}).json()
    assert (moved["description"], moved["to"]) == ("CRM", f"sqlite:///{folder}/crm.db#people")
    assert collector.http.post(f"{path}/test").json()["is_reachable"] is True
    collector.http.post(f"{path}/runs/{run_uid}/write")
    assert wait_for(collector, sink, run_uid)["last_problem"] is None
    everything = collector.log + json.dumps(collector.pages("sinks"))
    assert "hidden" not in everything
    for name in ("collector-outbox.db", "collector-outbox.db-wal"):
        assert b"hidden" not in (collector.data_dir / name).read_bytes()


@sqlite_only
def test_a_sink_that_cannot_be_is_refused(
    start_collector: Start, env: Mapping[str, str], folder: Path
) -> None:
    collector = start_collector(env)
    (folder / "out").symlink_to(folder.parent)

    def refused(body: Any) -> tuple[int, str, str]:
        answer = collector.http.post("/api/v1/sinks", json=body)
        return answer.status_code, answer.json()["detail"], answer.json().get("pointer", "")

    for body, said, pointer in (
        ({}, "must be a text", "#/to"),
        ({"to": "ftp://x"}, "ftp:// is no sink", "#/to"),
        ({"to": "-"}, "no parts", "#/to"),
        ({"to": "../x/", "format": "csv"}, "not below the folder", "#/to"),
        ({"to": "out/x/", "format": "csv"}, "not below the folder", "#/to"),
        ({"to": "sqlite:////etc/x.db#a"}, "not below the folder", "#/to"),
        ({"to": "x/", "format": "docx"}, "no format 'docx'", "#/to"),
        ({"to": "x/", "format": "csv", "filters": {"status": "x"}}, "it is one of", "#/filters"),
        ({"to": "x/", "format": "csv", "more": 1}, "more", "#/more"),
        ({"to": "x/", "format": "csv", "state": "off"}, "one of active, paused", "#/state"),
        ({"to": "x/", "format": "csv", "backfill": 1}, "true or false", "#/backfill"),
    ):
        status, detail, at = refused(body)
        assert (status, at) == (400, pointer), (body, detail)
        assert said in detail
    sink = make(collector, "x/", format="csv")
    for method, path, due in (
        ("GET", "/api/v1/sinks/none", 404),
        ("POST", f"/api/v1/sinks/{sink['id']}/runs/none/write", 404),
        ("GET", f"/api/v1/sinks/{sink['id']}/runs?state=lost", 400),
        ("GET", "/api/v1/sinks?limit=1", 400),
    ):
        assert collector.http.request(method, path).status_code == due, path
    collector.kill()
    del env
    without = start_collector(PAUSES)
    answer = without.http.post("/api/v1/sinks", json={"to": "x/", "format": "csv"})
    assert "COLLECTOR_SINK_DIR" in answer.json()["detail"]


@sqlite_only
def test_after_kill_9_what_was_being_written_is_there_once(
    start_collector: Start, env: Mapping[str, str], folder: Path
) -> None:
    """Killed before the commit at the target, then between that and the record of it."""
    collector = start_collector({**env, "COLLECTOR_CRASH_AT": "sink.merged:1"})
    sink = make(collector, "sqlite:///crm.db#people")
    run_uid = finish(collector)
    collector.process.wait(timeout=60)
    collector = start_collector({**env, "COLLECTOR_CRASH_AT": "sink before settling:1"})
    collector.process.wait(timeout=60)
    assert people(folder / "crm.db") == [(run_uid, 0), (run_uid, 1)]
    collector = start_collector(env)
    wait_for(collector, sink, run_uid)
    assert people(folder / "crm.db") == [(run_uid, 0), (run_uid, 1)]


@postgres_only
def test_replicas_share_what_is_to_be_written(
    start_collector: Start, env: Mapping[str, str], postgres: str
) -> None:
    replicas = [start_collector(env), start_collector(env)]
    sink = make(replicas[0], f"{postgres}#people")
    uids = [finish(replicas[n % 2]) for n in range(8)]
    for run_uid in uids:
        wait_for(replicas[1], sink, run_uid)
    rows = run(postgres, "SELECT _run_uid, count(*) FROM people GROUP BY 1")
    assert {row[0]: row[1] for row in rows} == dict.fromkeys(uids, 2)
    written = 0.0
    for one in replicas:
        found = re.search(r'sink_runs_total\{outcome="done"\} (\S+)', one.http.get("/metrics").text)
        written += float(found[1]) if found else 0
    assert written == len(uids)


def test_who_is_erased_is_taken_out_of_tables_too(
    start_collector: Start, env: Mapping[str, str], folder: Path
) -> None:
    collector = start_collector(env)
    sink = make(collector, "sqlite:///people.db#people")
    run_uid = finish(collector)
    wait_for(collector, sink, run_uid)
    assert people(folder / "people.db") == [(run_uid, 0), (run_uid, 1)]
    chosen = {"field": "row", "value": "0"}
    assert collector.http.delete("/api/v1/people", params=chosen).status_code == 202
    wait_until(
        lambda: people(folder / "people.db") == [(run_uid, 1)],
        lambda: f"{people(folder / 'people.db')} {runs_of(collector, sink)} {collector.log}",
    )
