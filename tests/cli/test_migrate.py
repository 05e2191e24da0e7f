"""`edges-collector migrate`: what it says, how it ends, and that looking changes nothing."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from app.store.migrations import PARTS
from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.conftest import sqlite_only
from tests.template import ran

MISSING = "`edges-collector migrate up` or `serve` makes it"


def migrate(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return ran("migrate", *arguments, env=env)


def test_from_nothing_to_up_to_date(database: Mapping[str, str]) -> None:
    folder = Path(database["COLLECTOR_DATA_DIR"])
    before = migrate(database, "status")
    assert before.returncode == 1
    assert MISSING in before.stderr
    assert "pending  log_schema/0001_the_log.sql\n" in before.stdout
    assert list(folder.iterdir()) == []

    made = migrate(database, "up")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout == before.stdout.replace("pending", "applied")

    after = migrate(database, "status")
    assert (after.returncode, after.stderr) == (0, "")
    assert after.stdout == made.stdout
    assert migrate(database, "up").stdout == "nothing to do: the schema is up to date\n"


@sqlite_only
def test_as_json(database: Mapping[str, str]) -> None:
    before = migrate(database, "status", "--json")
    assert before.returncode == 1
    state = json.loads(before.stdout)
    assert not state["is_up_to_date"]
    assert [part["part"] for part in state["parts"]] == [*PARTS]
    pending = {part["part"]: part["pending"] for part in state["parts"]}
    assert json.loads(migrate(database, "up", "--json").stdout) == {"applied": pending}
    after = json.loads(migrate(database, "status", "--json").stdout)
    assert after["is_up_to_date"]
    assert {part["part"]: part["applied"] for part in after["parts"]} == pending


@sqlite_only
def test_the_folder_may_be_given(database: Mapping[str, str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "not there" / "yet"
    looked = migrate(database, "status", "--data-dir", str(elsewhere))
    assert looked.returncode == 1
    assert str(elsewhere / "collector.db") in looked.stderr
    assert not elsewhere.parent.exists()
    assert migrate(database, "up", "--data-dir", str(elsewhere)).returncode == 0
    assert (elsewhere / "collector.db").exists()


@sqlite_only
def test_looking_changes_no_files(collector: CollectorProcess, tmp_path: Path) -> None:
    collector.send(sent("c1"))
    collector.wait_until_projected()
    crashed = tmp_path / "as a crash leaves it"
    shutil.copytree(collector.data_dir, crashed)
    for folder in (collector.data_dir, crashed):
        before = contents(folder)
        assert {"collector.db-wal", "collector.db-shm"} < before.keys()
        assert migrate({"COLLECTOR_DATA_DIR": str(folder)}, "status").returncode == 0
        assert contents(folder) == before
    collector.stop()
    before = contents(collector.data_dir)
    assert not any("-wal" in name for name in before)
    assert migrate(collector.env, "status").returncode == 0
    assert contents(collector.data_dir) == before


def contents(folder: Path) -> dict[str, bytes]:
    """The files by name, and what is in them; SQLite's scratch file may have anything in it."""
    return {
        path.name: b"" if path.name.endswith("-shm") else path.read_bytes()
        for path in folder.iterdir()
    }


@sqlite_only
def test_what_cannot_be_used_is_told(database: Mapping[str, str]) -> None:
    wrong = migrate(database, "sideways")
    assert wrong.returncode == 2
    unknown = migrate({**database, "COLLECTOR_DATABASE_URL": "mysql://x"}, "status")
    assert unknown.returncode == 2
    assert "COLLECTOR_DATABASE_URL" in unknown.stderr
