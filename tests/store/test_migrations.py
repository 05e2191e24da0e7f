"""Schemas are brought up to date step by step, and what does not fit is refused."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from app.settings import Settings
from app.store.database import migrate, opened_for_rebuild, schema_states
from app.store.migrations import PARTS, Migration, pending, statements, steps
from app.store.postgres import migrations as postgres_migrations
from app.store.protocol import SchemaError, StoreUnavailableError
from app.store.sqlite import driver
from app.store.sqlite import migrations as sqlite_migrations
from tests.collector_process import CollectorProcess
from tests.conftest import postgres_only, sqlite_only
from tests.databases import run

STORES = {"sqlite": sqlite_migrations, "postgres": postgres_migrations}
FILES = {
    "log_schema": "collector.db",
    "projection_schema": "collector-projection.db",
    "outbox_schema": "collector-outbox.db",
}


def known(settings: Settings) -> dict[str, list[str]]:
    """The names of all steps, by part."""
    store = STORES["sqlite" if settings.postgres_url is None else "postgres"]
    return {part: [step.name for step in steps(store.PACKAGE, part)] for part in PARTS}


def execute(database: Mapping[str, str], part: str, *statements: str) -> None:
    """Run statements on the database of a part."""
    if "COLLECTOR_DATABASE_URL" in database:
        run(database["COLLECTOR_DATABASE_URL"], *statements)
        return
    with closing(sqlite3.connect(Path(database["COLLECTOR_DATA_DIR"]) / FILES[part])) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()


def record_newer(database: Mapping[str, str], part: str) -> None:
    """Make it a database whose `part` has a step that this version does not know."""
    names, values = "number, name, checksum", "999, '0999_later.sql', 'x'"
    if "COLLECTOR_DATABASE_URL" in database:
        names, values = f"part, {names}", f"'{part}', {values}"
    execute(database, part, f"INSERT INTO migrations ({names}) VALUES ({values})")


def add_step(monkeypatch: pytest.MonkeyPatch, part: str, sql: str) -> None:
    """Let this version have one more step of `part`, in both stores."""

    def with_one_more(package: str, of_part: str) -> list[Migration]:
        found = steps(package, of_part)
        if of_part == part:
            number = found[-1].number + 1
            found.append(Migration(number, f"{number:04}_more.sql", sql, "checksum of more"))
        return found

    for store in STORES.values():
        monkeypatch.setattr(store, "steps", with_one_more)


# --------------------------------------------------------------------- applying


def test_what_is_missing_is_applied_once(settings: Settings) -> None:
    everything = known(settings)
    assert {state.part: state.pending for state in schema_states(settings)} == everything
    assert migrate(settings) == everything
    assert {state.part: state.applied for state in schema_states(settings)} == everything
    assert migrate(settings) == {part: [] for part in PARTS}


def test_a_failed_step_leaves_nothing_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = known(settings)
    half_done = "CREATE TABLE half (one integer);\n\nINSERT INTO half VALUES (1);\n\nNONSENSE;\n"
    with monkeypatch.context() as patched:
        add_step(patched, PARTS[-1], half_done)
        for _ in range(2):
            with pytest.raises(SchemaError, match=r"_more\.sql failed, and nothing of it was"):
                migrate(settings)
    # What came before it stays, and is not applied again.
    assert {state.part: state.applied for state in schema_states(settings)} == everything
    add_step(monkeypatch, PARTS[-1], "CREATE TABLE half (one integer);\n")
    assert migrate(settings)[PARTS[-1]] != []


def test_a_step_that_was_changed_is_refused(
    settings: Settings, database: Mapping[str, str]
) -> None:
    migrate(settings)
    execute(database, "log_schema", "UPDATE migrations SET checksum = 'other'")
    for use in (migrate, schema_states):
        with pytest.raises(SchemaError, match=r"0001_the_log\.sql was changed after it"):
            use(settings)


@pytest.mark.parametrize("part", PARTS)
def test_a_newer_schema_is_refused(
    settings: Settings, database: Mapping[str, str], part: str
) -> None:
    migrate(settings)
    record_newer(database, part)
    for use in (migrate, schema_states):
        with pytest.raises(SchemaError, match=r"schema 999, .* install the newer version"):
            use(settings)


def test_serve_refuses_a_newer_schema(settings: Settings, database: Mapping[str, str]) -> None:
    migrate(settings)
    record_newer(database, "projection_schema")
    collector = CollectorProcess(database)
    assert collector.process.wait(timeout=60) == 1
    collector.kill()
    assert "install the newer version that wrote it" in collector.log
    assert "Traceback" not in collector.log


def test_a_database_of_an_earlier_version_is_not_rebuilt(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(settings)
    add_step(monkeypatch, "log_schema", "CREATE TABLE more (one integer);\n")
    with (
        pytest.raises(SchemaError, match="edges-collector migrate up"),
        opened_for_rebuild(settings),
    ):
        pass


# ----------------------------------------------------------------------- SQLite


@sqlite_only
def test_files_in_use_are_not_migrated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, collector: CollectorProcess
) -> None:
    assert migrate(settings) == {part: [] for part in PARTS}  # nothing to do, so nobody is asked
    add_step(monkeypatch, "projection_schema", "CREATE TABLE more (one integer);\n")
    monkeypatch.setattr(driver, "BUSY_TIMEOUT_S", 0.1)
    with pytest.raises(StoreUnavailableError, match="stop the collector that has it open"):
        migrate(settings)
    assert collector.http.get("/readyz").status_code == 200
    collector.stop()
    assert migrate(settings)["projection_schema"] != []


@sqlite_only
def test_nobody_uses_files_that_are_migrated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(settings)
    monkeypatch.setattr(driver, "BUSY_TIMEOUT_S", 0.1)
    with closing(driver.connect_writer(settings.log_path, is_alone=True)):
        for connect in (driver.connect_reader, driver.connect_writer):
            with pytest.raises(driver.OperationalError, match="locked"):
                connect(settings.log_path)
    driver.connect_reader(settings.log_path).close()


@sqlite_only
def test_a_part_that_was_thrown_away_is_made_again(settings: Settings) -> None:
    migrate(settings)
    settings.projection_path.unlink()
    everything = known(settings)
    applied = [state.applied for state in schema_states(settings)]
    assert applied == [everything[PARTS[0]], [], everything[PARTS[2]]]
    assert not settings.projection_path.exists()
    assert migrate(settings) == {part: [] for part in PARTS} | {PARTS[1]: everything[PARTS[1]]}


@sqlite_only
def test_what_is_no_database_is_refused(settings: Settings) -> None:
    settings.log_path.write_text("something that somebody keeps here under this name\n" * 20)
    for use in (migrate, schema_states):
        with pytest.raises(StoreUnavailableError, match=r"collector\.db cannot be read"):
            use(settings)
    collector = CollectorProcess({"COLLECTOR_DATA_DIR": str(settings.data_dir)})
    assert collector.process.wait(timeout=60) == 1
    collector.kill()
    assert "cannot be opened: file is not a database" in collector.log
    assert "Traceback" not in collector.log


# ------------------------------------------------------------------- PostgreSQL


@postgres_only
def test_two_processes_that_migrate_at_once_apply_each_step_once(
    settings: Settings, database: Mapping[str, str]
) -> None:
    command = [sys.executable, "-m", "app", "migrate", "up", "--json"]
    with asyncio.Runner() as runner:
        gate = runner.run(asyncpg.connect(database["COLLECTOR_DATABASE_URL"]))
        runner.run(gate.execute("SELECT pg_advisory_lock($1)", postgres_migrations._LOCK))
        migrating = [
            subprocess.Popen(
                command,
                env={**os.environ, **database},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        until = time.monotonic() + 30
        while time.monotonic() < until:
            waiting = runner.run(
                gate.fetchval(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    " AND objid = $1",
                    postgres_migrations._LOCK,
                )
            )
            if waiting >= 2:
                break
            time.sleep(0.02)
        runner.run(gate.close())
    applied: dict[str, list[str]] = {part: [] for part in PARTS}
    for process in migrating:
        said, failure = process.communicate(timeout=60)
        assert process.returncode == 0, failure
        for part, names in json.loads(said)["applied"].items():
            applied[part] = sorted([*applied[part], *names])  # each may have done some
    assert waiting >= 2
    assert applied == known(settings)
    assert not any(state.pending for state in schema_states(settings))


@postgres_only
def test_a_database_that_is_read_only_is_not_migrated(
    settings: Settings, database: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{database['COLLECTOR_DATABASE_URL']}&default_transaction_read_only=on"
    monkeypatch.setenv("COLLECTOR_DATABASE_URL", url)
    with pytest.raises(SchemaError, match="read-only"):
        migrate(Settings())
    assert [len(state.applied) for state in schema_states(settings)] == [0] * len(PARTS)


@postgres_only
def test_a_server_that_is_not_there_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.postgres_url is not None
    monkeypatch.setenv("COLLECTOR_DATABASE_URL", "postgresql://postgres@127.0.0.1:1/none")
    for use in (migrate, schema_states):
        with pytest.raises(StoreUnavailableError, match="PostgreSQL cannot answer"):
            use(Settings())


# -------------------------------------------------------------------- the files


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("part", PARTS)
def test_steps_are_numbered_without_gaps(kind: str, part: str) -> None:
    found = steps(STORES[kind].PACKAGE, part)
    assert [step.number for step in found] == list(range(1, len(found) + 1))
    assert len({step.checksum for step in found}) == len(found)
    assert pending(found, {}) == found
    assert all(statements(step.sql) for step in found)
