"""The statements for operators of PostgreSQL: partitions, and runs that are forgotten."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncpg
import pytest

from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.databases import run
from tests.edges_process import wait_until
from tests.test_notifications import ENV, endpoint
from tests.webhook_receiver import receiver

SCRIPTS = Path("deploy/postgres")
GROWING = (
    "segments", "callback_keys", "conflicts", "callbacks", "inputs", "custom_values", "fields",
    "events", "deliveries", "attempts",
)  # fmt: skip

pytestmark = pytest.mark.parametrize("database", ["postgres"], indirect=True)
Start = Callable[..., CollectorProcess]


def fill(collector: CollectorProcess, run_uid: str) -> None:
    for number in range(30):
        results = ({"n": number, "of": run_uid},)
        collector.send(sent(f"c{number}", run=run_uid, row=f"row-{number}", results=results))
    collector.send(sent("c1", run=run_uid, row="row-1", results=({"n": 1}, {"n": 2})))
    collector.wait_until_projected()


def export(collector: CollectorProcess, run_uid: str) -> bytes:
    answer = collector.http.get(f"/api/v1/runs/{run_uid}/results?format=ndjson")
    return answer.raise_for_status().content


def tables_of_runs(url: str) -> list[str]:
    """All that have rows of runs, partitions aside."""
    found = run(
        url,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition AND a.attname = 'run_uid' ORDER BY 1",
    )
    return [name for (name,) in found]


def rows(url: str, run_uid: str) -> dict[str, int]:
    return {
        table: run(url, f"SELECT count(*) FROM {table} WHERE run_uid = '{run_uid}'")[0][0]
        for table in tables_of_runs(url)
    }


def test_partitions_change_nothing_but_the_tables(
    start_collector: Start, database: Mapping[str, str]
) -> None:
    url = database["COLLECTOR_DATABASE_URL"]
    collector = start_collector()
    fill(collector, "run-a")
    before = export(collector, "run-a")
    collector.stop()
    script = (SCRIPTS / "partition.sql").read_text("utf-8")
    for _ in range(2):
        run_script(url, script)
    for table in GROWING:
        ((kind,),) = run(url, f"SELECT relkind FROM pg_class WHERE oid = '{table}'::regclass")
        assert kind == b"p"
    collector = start_collector()
    assert export(collector, "run-a") == before
    assert collector.send(sent("c0", run="run-a")).json()["status"] == "conflict"
    fill(collector, "run-b")
    assert collector.get("runs/run-b")["counts"]["results"] == 31
    fill(collector, "run-a")
    assert collector.get("runs/run-a")["counts"]["results"] == 31


def test_forgetting_takes_old_runs_whole_and_no_others(
    start_collector: Start, database: Mapping[str, str]
) -> None:
    url = database["COLLECTOR_DATABASE_URL"]
    collector = start_collector(ENV)
    with receiver() as receiving:
        endpoint(collector, receiving)
        fill(collector, "old")
        fill(collector, "new")
        wait_until(lambda: collector.pages("deliveries", state="delivered"), "none delivered")
    before = export(collector, "new")
    run(url, "UPDATE runs SET last_received_ms = 1 WHERE run_uid = 'old'")
    run_script(url, (SCRIPTS / "forget_runs.sql").read_text("utf-8"))
    run(url, "CALL forget_runs(interval '1 day')")
    assert set(rows(url, "old").values()) == {0}
    filled = {table for table, count in rows(url, "new").items() if count}
    assert filled >= {*GROWING, "runs", "projections", "log_runs", "announcements"}
    assert export(collector, "new") == before
    assert collector.http.get("/api/v1/runs/old").status_code == 404
    assert collector.send(sent("c0", run="old")).json()["status"] == "stored"
    collector.wait_until_projected()
    assert collector.get("runs/old")["counts"]["callbacks"] == 1
    wait_until(lambda: collector.pages("events", run_uid="old"), "its new start is not told")


def run_script(url: str, script: str) -> None:
    """As psql would: without parameters, so that it may hold several statements."""

    async def running() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(script)
        await connection.close()

    asyncio.run(running())
