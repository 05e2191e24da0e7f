"""Databases as earlier revisions left them, and what those revisions made of them.

Each folder here is named after a store and the commit whose code wrote it. It was made with

    git archive COMMIT | tar -x -C /tmp/revision
    .venv/bin/python -m tests.store.upgrade.snapshot sqlite /tmp/revision COMMIT

which starts the collector of that revision, sends it a short history, kills it and dumps its
database as SQL; then starts it once more on the same database and downloads what it says:

    log.sql, projection.sql   the dump (of PostgreSQL, which needs pg_dump: database.sql);
                              part of the history is not projected, and the last keys are in
                              the log alone, as after a crash
    sent.json                 what was sent, in order: [answer, body] each
    results.ndjson, …         the downloads and lists of `DOWNLOADS` and `LISTS`

`tests/store/test_upgrade.py` opens each with the present code. A release that changes a schema
adds a folder for the revision before it. SQLite's is that of the last revision with one store;
PostgreSQL had none before 59e92f7, so that its folder holds the first schema that there was.
"""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.callbacks import encoded, sent
from tests.collector_process import CollectorProcess
from tests.databases import fresh_database

FOLDER = Path(__file__).parent
RUN, OTHER_RUN, LATE_RUN = "run-of-leads", "run-of-companies", "run-that-came-late"

DOWNLOADS = {
    "results.ndjson": "results?format=ndjson",
    "results.csv": "results?format=csv",
    "inputs.ndjson": f"runs/{RUN}/inputs?format=ndjson",
    "inputs.csv": f"runs/{RUN}/inputs?format=csv",
}
"""Files that stay the same byte for byte."""

LISTS = {
    "runs.json": "runs",
    "callbacks.json": f"runs/{RUN}/callbacks",
    "quarantine.json": "quarantine",
}
"""Lists to whose objects later revisions may add fields."""

_FILES = {"log.sql": "collector.db", "projection.sql": "collector-projection.db"}


# ------------------------------------------------------------------ what is sent


def history() -> Iterator[tuple[str, bytes]]:
    """The answer that is due, and a body: pages, repeats, replays, conflicts, failures."""
    for row in range(6):
        for page in range(2):
            ref = f"lead-{row}-{page}"
            yield "stored", sent(ref, run=RUN, row=f"row-{row}", results=_page(row, page))
    first = sent("lead-0-0", run=RUN, row="row-0", results=_page(0, 0))
    yield "duplicate", first
    yield "duplicate", json.dumps(json.loads(first), indent=2, sort_keys=True).encode()
    yield "stored", sent("a-replay-of-lead-1-0", run=RUN, row="row-1", results=_page(1, 0))
    yield "conflict", sent("lead-2-0", run=RUN, row="row-2", results=(_person(2, 0, 0),))
    yield "conflict", sent("lead-2-0", run=RUN, row="row-2", results=(_person(2, 0, 0),))
    more = (*_page(2, 1), _person(2, 1, 3))
    yield "conflict", sent("lead-2-1", run=RUN, row="row-2", results=more)
    for number, error in enumerate(_errors()):
        bad: dict[str, Any] = {"row": f"bad-{number}", "status": "FAILED", "error": error}
        yield "stored", sent(f"e{number}", run=RUN, results=(), **bad)
    yield "stored", sent(None, run=RUN, row=None, batch=None, results=({"without": "an input"},))
    yield "duplicate", sent(None, run=RUN, row=None, batch=None, results=({"without": "an input"},))
    yield "stored", sent("end", run=RUN, row=None, status="PARTIAL_SUCCEEDED", results=None)
    for number in range(3):
        yield "stored", encoded(_of_a_schedule(number))


def late_history() -> Iterator[tuple[str, bytes]]:
    """The same for what comes while nothing is projected."""
    for number in range(3):
        yield "stored", sent(f"late-{number}", run=LATE_RUN, row=f"late-{number}")
    yield "duplicate", sent("late-1", run=LATE_RUN, row="late-1")
    yield "conflict", sent("late-2", run=LATE_RUN, row="late-2", results=({"n": 1}, {"n": 2}))
    yield "duplicate", sent("lead-3-0", run=RUN, row="row-3", results=_page(3, 0))
    yield "conflict", sent("lead-4-0", run=RUN, row="row-4", results=())
    yield "stored", sent("z-replay-of-lead-5-1", run=RUN, row="row-5", results=_page(5, 1))


def not_understood() -> Iterator[tuple[int, bytes]]:
    """The status that is due, and a body that goes to quarantine."""
    yield 400, b"this is no JSON"
    yield 202, b'{"run": "no object", "odd": "\xc3\xa9"}'
    yield 400, b"this is no JSON"


def _page(row: int, page: int) -> tuple[dict[str, Any], ...]:
    return tuple(_person(row, page, place) for place in range(3))


def _person(row: int, page: int, place: int) -> dict[str, Any]:
    return {
        "linkedin_profile_id": 2**60 + row * 100 + page * 10 + place,
        "full_name": f'Zoë "{place}" Müller, {row}',
        "company": {"name": "Käse & Söhne", "staff": {"min": 11, "max": 50}},
        "skills": ["sql", "日本語"],
        **({"email": None, "note": "two\nlines"} if place == 2 else {}),
    }


def _errors() -> Iterator[Any]:
    yield {"error_label": "NO_RESULT", "status_code": 424, "error_scope": "input"}
    yield {"label": "LK_ERROR", "message": "try again", "params": {"after_s": 60}}
    yield {"has_failed": True, "label": "STATUS_429", "scope": "identity"}
    yield "just a text"


def _of_a_schedule(number: int) -> dict[str, Any]:
    return {
        "run": {
            "run_uid": OTHER_RUN,
            "batch_uid": f"batch-{number}",
            "status": "RUNNING" if number < 2 else "SUCCEEDED",
            "action_name": "salesnavigator-extract-companies",
            "execution_mode": "schedule",
            "scheduled_run_uid": "schedule-1",
        },
        "callback_ref_uid": f"company-{number}",
        "input": {"query": {"text": f"company {number}", "pages": [1, 2]}},
        "custom_data": {"crm": {"account": number, "tags": ["a", "b"]}, "owner": "o'neill"},
        "output": {"company_id": 10**30 + number, "ratio": 0.1, "is_public": number == 1},
        "unknown_key": "x" * (33_000 if number == 0 else 3),  # beyond a frame of the log
    }


# --------------------------------------------------------------- making a folder


def write(kind: str, source: Path, folder: Path) -> None:
    """Make `folder` with the collector whose code is in `source`, in a store of this kind."""
    folder.mkdir(parents=True)
    with (
        tempfile.TemporaryDirectory() as data_dir,
        fresh_database(kind, Path(data_dir) / "data") as env,
    ):
        said: list[tuple[str, str]] = []
        with _running(env, source) as collector:
            said += _send(collector, history())
            for code, body in not_understood():
                assert collector.send(body).status_code == code, body
            collector.wait_until_projected()
            assert collector.stop() == 0
        with _running({**env, "COLLECTOR_PROJECTION_PAUSED": "true"}, source) as collector:
            said += _send(collector, late_history())
        _dump(env, folder)
        with _running(env, source) as collector:
            collector.wait_until_projected()
            for name, path in DOWNLOADS.items():
                (folder / name).write_bytes(collector.http.get(f"/api/v1/{path}").content)
            for name, path in LISTS.items():
                rows = json.dumps(collector.pages(path), indent=1, ensure_ascii=False)
                (folder / name).write_text(rows + "\n", "utf-8")
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in said)
    (folder / "sent.json").write_text(f"[\n{lines}\n]\n", "utf-8")


@contextmanager
def _running(env: Mapping[str, str], source: Path) -> Iterator[CollectorProcess]:
    """The collector of another revision; killed in the end, if it still runs."""
    collector = CollectorProcess(env, source=source)
    try:
        yield collector.wait_until_ready()
    finally:
        collector.kill()


def _send(
    collector: CollectorProcess, bodies: Iterator[tuple[str, bytes]]
) -> Iterator[tuple[str, str]]:
    for due, body in bodies:
        answer = collector.send(body).json()
        assert answer["status"] == due, (answer, body)
        yield due, body.decode()


def _dump(env: Mapping[str, str], folder: Path) -> None:
    if "COLLECTOR_DATABASE_URL" in env:
        dumped = _postgres_dump(env["COLLECTOR_DATABASE_URL"])
        (folder / "database.sql").write_text(dumped, "utf-8")
        return
    for name, file in _FILES.items():
        with closing(sqlite3.connect(Path(env["COLLECTOR_DATA_DIR"]) / file)) as database:
            lines = "\n".join(database.iterdump())
        (folder / name).write_text(lines + "\n", "utf-8")


def _postgres_dump(url: str) -> str:
    """The schema that `url` names, without that name and without what only psql understands."""
    server, _, schema = url.partition("?search_path=")
    command = ["pg_dump", server, f"--schema={schema}", "--inserts", "--no-owner", "--no-acl"]
    dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    unwanted = ("--", "\\", "SET ", "SELECT pg_catalog.set_config", "CREATE SCHEMA")
    lines = [line for line in dumped.splitlines() if line and not line.startswith(unwanted)]
    return "\n".join(lines).replace(f"{schema}.", "") + "\n"


# ------------------------------------------------------------------- reading one


def restore(folder: Path, env: Mapping[str, str]) -> None:
    """Put the database of `folder` where `env` says that a collector's is."""
    if "COLLECTOR_DATABASE_URL" in env:
        asyncio.run(_execute(env["COLLECTOR_DATABASE_URL"], (folder / "database.sql").read_text()))
        return
    for name, file in _FILES.items():
        with closing(sqlite3.connect(Path(env["COLLECTOR_DATA_DIR"]) / file)) as database:
            database.executescript((folder / name).read_text("utf-8"))


async def _execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(script)
    await connection.close()


def main(kind: str, source: str, revision: str) -> None:
    """Make the folder of one store and revision, in the place of one that is there."""
    folder = FOLDER / f"{kind}-{revision}"
    shutil.rmtree(folder, ignore_errors=True)
    write(kind, Path(source).resolve(), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
