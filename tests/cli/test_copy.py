"""`edges-collector copy`: one command, whatever cuts it off."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.cli.copy import copy as copy_command
from app.model import Outcome
from app.settings import Settings
from app.store.copying import PORTION_BYTES
from app.store.sqlite.log import SqliteLogWriter
from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.databases import fresh_postgres, run
from tests.project.test_merge import arrival
from tests.store.telling import begin_telling, causes, deliver, told
from tests.store.test_copying import append, copied, outbox, some_arrivals
from tests.template import ran


def copy(
    source: str, target: str, *more: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return ran("copy", "--from", source, "--to", target, *more, env=env or {})


@pytest.fixture
def source(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/collector.db"
    append(Settings(database_url=url), some_arrivals(11), bad=("bad",))
    return url


@pytest.fixture
def telling(tmp_path: Path) -> str:
    """A source with an outbox, in which there is news, and events that were told."""
    url = f"sqlite:///{tmp_path}/telling.db"
    source = Settings(database_url=url)
    begin_telling(source, "one")
    append(source, some_arrivals(11), bad=("bad",))
    told(source)
    deliver(source, "one", 3)
    append(source, some_arrivals(12, 20), bad=("worse",))
    return url


@pytest.fixture
def target() -> Iterator[str]:
    with fresh_postgres() as url:
        yield url


def test_the_figures_are_said_to_people_and_to_scripts(source: str, target: str) -> None:
    running = SqliteLogWriter(Path(source.removeprefix("sqlite:///")))  # whoever else has it open
    done = copy(source, target)
    assert done.returncode == 0, done.stderr
    assert "all of it is the same on both sides" in done.stdout
    assert done.stderr == ""
    assert running.append([arrival(sent("later", run="run-a"))]) == [Outcome.STORED]
    running.close()
    again = copy(source, target, "--json")
    assert again.returncode == 0, again.stderr
    figures = json.loads(again.stdout)
    assert figures["verified"] is True
    assert figures["callbacks_copied_now"] == 1
    assert figures["runs"] == 3
    assert figures["quarantined"] == 1
    assert figures["callbacks"] > figures["results"] > 0
    assert "the source is not projected to its end" in figures["notes"][0]


CRASHES = {
    "copy before commit:1": -9,
    "copy after commit:1": -9,
    "copy before commit:2": -9,
    "projection before commit:1": 1,  # it is not the command that is killed, but its companion
    "copy before settled:1": -9,
}


def test_killed_at_one_point_after_another_it_ends_the_same(telling: str, target: str) -> None:
    source = telling
    large = [sent(f"large-{n}", run="run-a", row=None, pad="x" * PORTION_BYTES) for n in range(4)]
    append(Settings(database_url=source), [arrival(body) for body in large])
    callbacks = []
    for point, code in CRASHES.items():
        killed = copy(source, target, env={"COLLECTOR_CRASH_AT": point})
        assert killed.returncode == code, (point, killed.stderr)
        ((count,),) = run(target, "SELECT coalesce(sum(callbacks), 0) FROM segments")
        callbacks.append(count)
    assert callbacks[0] == 0
    assert 0 < callbacks[1] < callbacks[2] < callbacks[3] == callbacks[4]
    done = json.loads(copy(source, target, "--json").stdout)
    with fresh_postgres() as untouched:
        whole = copied(Settings(database_url=source), Settings(database_url=untouched))
        assert outbox(Settings(database_url=target)) == outbox(Settings(database_url=untouched))
        events = causes(told(Settings(database_url=untouched)))
    assert done["verified"]
    assert causes(told(Settings(database_url=target))) == events
    assert causes(told(Settings(database_url=source))) == events
    for name in ("callbacks", "conflicts", "duplicates", "runs", "quarantined", "events"):
        assert done[name] == getattr(whole, name)


@pytest.mark.parametrize("point", ["copy before announced", "copy before settled"])
def test_killed_while_it_brings_what_is_new_it_tells_nothing_twice(
    telling: str, target: str, point: str
) -> None:
    given, wanted = Settings(database_url=telling), Settings(database_url=target)
    copied(given, wanted)
    known = told(given)
    append(given, some_arrivals(13, 20))
    for _ in range(2):
        killed = copy(telling, target, env={"COLLECTOR_CRASH_AT": f"{point}:1"})
        assert killed.returncode == -9
    assert copy(telling, target).returncode == 0
    assert outbox(given) == outbox(wanted)
    events = told(wanted)
    assert events[: len(known)] == known
    assert causes(events) == causes(told(given))


def test_what_is_to_be_minded_of_endpoints_is_said(telling: str, target: str) -> None:
    done = copy(telling, target, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["endpoints"], figures["sinks"]) == (1, 1)
    assert figures["deliveries"] - 3 == figures["pending_deliveries"] > 0
    assert "the same COLLECTOR_SECRET_KEY" in done.stderr
    assert f"the file secret-key of its data folder ({Path(telling[10:]).parent})" in done.stderr
    assert f"pending deliveries: {figures['pending_deliveries']}. Whoever" in done.stderr
    assert "Do not serve from the source any more" in done.stderr
    assert "sealed one" not in done.stdout + done.stderr


def test_a_collector_serves_what_was_copied_and_is_then_left_alone(
    source: str, target: str, tmp_path: Path
) -> None:
    copied(Settings(database_url=source), Settings(database_url=target))
    env = {"COLLECTOR_DATA_DIR": str(tmp_path / "served"), "COLLECTOR_DATABASE_URL": target}
    server = CollectorProcess(env).wait_until_ready()
    try:
        assert server.get("runs/run-a")["counts"]["results"] > 0
        assert server.send(sent("new", run="run-a")).json()["status"] == "stored"
    finally:
        server.kill()
    refused = copy(source, target)
    assert refused.returncode == 2
    assert "holds what this copy did not bring" in refused.stderr


def test_a_copy_that_differs_is_an_error(source: str, target: str) -> None:
    copied(Settings(database_url=source), Settings(database_url=target))
    run(target, "UPDATE segments SET frame = '\\x00' WHERE run_uid = 'run-b'")
    done = copy(source, target, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["verified"] is False
    assert "run run-b: damage: none in the source" in done.stderr


def test_wrong_arguments_are_told_and_no_password_is(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "postgresql://me:s3cret@127.0.0.1:1/db"
    cases = [
        (nowhere, source, "copying goes from SQLite to PostgreSQL alone", 2),
        (source, source, "copying goes from SQLite to PostgreSQL alone", 2),
        (source, "mysql://me:s3cret@db/x", "give sqlite:///PATH or postgresql://", 2),
        (source, "postgresql://me:s3cret/@db/x", "the target is no address", 2),
        (f"sqlite:///{tmp_path}/none.db", nowhere, "there is no SQLite database", 2),
        (source, nowhere, "the same command goes on from there", 1),
    ]
    for given, wanted, said, code in cases:
        with pytest.raises(SystemExit) as ended:
            copy_command(source=given, target=wanted)
        out, err = capsys.readouterr()
        assert said in err
        assert ended.value.code == code
        assert "s3cret" not in out + err
