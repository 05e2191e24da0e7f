"""`edges-collector keys`: at a running server, and on the database of one that is not."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.cli.keys import create, expires_at
from tests.collector_process import ADMIN_KEY, CollectorProcess, free_port
from tests.conftest import postgres_only, sqlite_only

KEY = re.compile(r"edc_[\w-]{43}\n")


def keys(
    env: Mapping[str, str], *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", "keys", *arguments]
    kept = {name: value for name, value in os.environ.items() if "COLLECTOR" not in name}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**kept, **env}
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def listed(env: Mapping[str, str]) -> list[Any]:
    return [json.loads(line) for line in keys(env, "list", "--json").stdout.splitlines()]


def opens(collector: CollectorProcess, key: str) -> bool:
    headers = {"Authorization": f"Bearer {key}"}
    status = collector.http.get("/api/v1/runs", headers=headers).status_code
    assert status in (200, 401)
    return status == 200


def at(collector: CollectorProcess) -> dict[str, str]:
    return {"COLLECTOR_URL": collector.base_url, "COLLECTOR_API_KEY": ADMIN_KEY}


def test_at_a_server(shared_collector: CollectorProcess) -> None:
    env = at(shared_collector)
    made = keys(env, "create", "ci", "--scopes", "read, write", "--expires", "90d")
    assert KEY.fullmatch(made.stdout)
    assert opens(shared_collector, made.stdout.strip())
    assert "ci, with read, write, until 20" in made.stderr
    assert made.stdout.strip() not in made.stderr
    newest = listed(env)[1]
    assert (newest["name"], newest["scopes"]) == ("ci", ["read", "write"])
    assert made.stdout.strip().endswith(newest["hint"])
    in_90_days = datetime.now(UTC) + timedelta(days=90)
    expires = datetime.fromisoformat(newest["expires_at"])
    assert abs(expires - in_90_days) < timedelta(minutes=5)
    assert listed(env) == shared_collector.pages("keys")

    revoked = keys(env, "revoke", newest["id"])
    assert (revoked.stdout, revoked.stderr) == ("", f"revoked {newest['id']}, ci\n")
    assert not opens(shared_collector, made.stdout.strip())
    table = keys(env, "list").stdout.splitlines()
    assert table[0].split() == ["ID", "NAME", "SCOPES", "KEY", "STATE", "LAST", "USED"]
    assert table[1].startswith("admin ")
    assert f"…{newest['hint']}  revoked 20" in table[2]

    assert "there is no key" in keys(env, "revoke", "key_unknown", code=1).stderr
    weak = {**env, "COLLECTOR_API_KEY": keys(env, "create", "r", "--scopes", "read").stdout.strip()}
    assert "the scope admin; key r has read" in keys(weak, "list", code=1).stderr


def test_on_a_database_that_nobody_serves(
    database: Mapping[str, str], start_collector: Callable[..., CollectorProcess]
) -> None:
    assert "there is no database" in keys(database, "list", code=2).stderr
    moment = "2099-01-01T00:00:00+02:00"
    key = keys(database, "create", "ci", "--scopes", "admin", "--expires", moment).stdout
    other = keys(database, "create", "other", "--scopes", "read").stdout
    assert KEY.fullmatch(key)
    admin, second, first = listed(database)
    assert (admin["id"], admin["hint"]) == ("admin", None)
    assert (first["name"], first["expires_at"]) == ("ci", "2098-12-31T22:00:00.000Z")
    assert (second["name"], second["expires_at"]) == ("other", None)
    keys(database, "revoke", second["id"])
    assert "settings" in keys(database, "revoke", "admin", code=1).stderr
    assert "keys list" in keys(database, "revoke", "key_unknown", code=1).stderr

    collector = start_collector()
    assert opens(collector, key.strip())
    assert not opens(collector, other.strip())
    assert [one["id"] for one in collector.pages("keys")] == ["admin", second["id"], first["id"]]
    admin = collector.get("keys/admin")
    collector.stop()
    assert listed({**database, "COLLECTOR_ADMIN_KEY": ADMIN_KEY})[0] == admin


@postgres_only
def test_a_database_that_is_served_may_be_postgresql(
    database: Mapping[str, str], collector: CollectorProcess
) -> None:
    key = keys(database, "create", "ci", "--scopes", "write").stdout
    assert opens(collector, key.strip())


@sqlite_only
def test_a_database_that_is_served_is_not_touched(
    database: Mapping[str, str], collector: CollectorProcess
) -> None:
    busy = keys(database, "create", "ci", "--scopes", "write", code=1)
    assert "another collector has" in busy.stderr
    assert "COLLECTOR_URL" in busy.stderr
    assert [one["id"] for one in collector.pages("keys")] == ["admin"]


@sqlite_only
def test_the_hint_is_that_of_the_key_in_the_file(database: Mapping[str, str]) -> None:
    keys(database, "create", "ci", "--scopes", "read")
    file = Path(database["COLLECTOR_DATA_DIR"]) / "admin-key"
    file.write_text("a-key-that-was-generated-once\n")
    assert listed(database)[0]["hint"] == "once"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"scopes": "root"}, "scopes: "),
        ({"scopes": ""}, "scopes: "),
        ({"name": ""}, "name: "),
        *(
            ({"expires": expires}, f"--expires {expires}: ")
            for expires in ("soon", "90", "9999999d", "999999w", "2001-01-01", "0d")
        ),
    ],
)
def test_what_is_no_key_is_refused(
    given: dict[str, str], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"name": "ci", "scopes": "read"} | given
    with pytest.raises(SystemExit) as ended:
        create(asked.pop("name"), **asked)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert found in said.err


@pytest.mark.parametrize(
    ("expires", "due"), [("90m", 5_400), ("12h", 43_200), ("2d", 172_800), ("6w", 3_628_800)]
)
def test_durations_are_from_now_on(expires: str, due: int) -> None:
    moment = datetime.fromisoformat(expires_at(expires) or "")
    assert abs((moment - datetime.now(UTC)).total_seconds() - due) < 60


def test_a_server_is_asked_with_a_key() -> None:
    at_nobody = {"COLLECTOR_URL": f"http://127.0.0.1:{free_port()}"}
    assert "COLLECTOR_API_KEY" in keys(at_nobody, "list", code=2).stderr
    at_nobody["COLLECTOR_API_KEY"] = "key"
    assert "no collector answers" in keys(at_nobody, "list", code=1).stderr
    assert "Example" in keys({}, "create", "--help").stdout
