"""People in callbacks, and how the tests look whether anything of one is left."""

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zstandard

from tests.collector_process import CollectorProcess
from tests.databases import run as run_sql

NAME = "Jane Unforgettable"
PERSON = "ACoAAB-jane-0815"
FIELD = "linkedin_profile_id"


def jane(**more: Any) -> dict[str, Any]:
    """A result that is the person's own."""
    return {FIELD: PERSON, "full_name": NAME} | more


def other(number: int, **more: Any) -> dict[str, Any]:
    """Somebody else's."""
    return {FIELD: f"ACoAAB-other-{number}", "full_name": f"Other {number}"} | more


def wait_until_erased(collector: CollectorProcess, erasure_id: str) -> dict[str, Any]:
    """The erasure once it is done."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found: dict[str, Any] = collector.get(f"erasures/{erasure_id}")
        if found["status"] == "done":
            return found
        time.sleep(0.05)
    raise AssertionError(f"not done: {found}: {collector.log}")


def erase(collector: CollectorProcess, value: str = PERSON, field: str = FIELD) -> dict[str, Any]:
    """Erase a person, and wait until it is done."""
    answer = collector.http.delete("/api/v1/people", params={"field": field, "value": value})
    assert answer.status_code == 202, answer.text
    return wait_until_erased(collector, answer.json()["erasure_id"])


def traces(env: Mapping[str, str], *texts: str) -> list[str]:
    """Where in the database any of these texts stands: files by their bytes, and all bodies."""
    wanted = [text.encode() for text in texts]
    url = env.get("COLLECTOR_DATABASE_URL")
    if url is not None:
        return _traces_in_postgres(url, wanted)
    folder = Path(env["COLLECTOR_DATA_DIR"])
    found = [
        f"{path.name}: {text.decode()}"
        for path in sorted(folder.iterdir())
        for text in wanted
        if path.is_file() and text in path.read_bytes()
    ]
    database = sqlite3.connect(f"file:{folder}/collector.db?mode=ro", uri=True)
    for table in ("segments", "quarantine"):
        for (frame,) in database.execute(f"SELECT frame FROM {table}"):
            body = zstandard.decompress(frame)
            found += [f"{table}: {body[:300]!r}" for text in wanted if text in body]
    database.close()
    return found


def _traces_in_postgres(url: str, wanted: list[bytes]) -> list[str]:
    found = []
    tables = run_sql(url, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    for (table,) in tables:
        for row in run_sql(url, f"SELECT * FROM {table}"):
            for name, value in row.items():
                data = value if isinstance(value, bytes) else str(value).encode()
                if name == "frame":
                    data = zstandard.decompress(data)
                found += [f"{table}.{name}: {data[:300]!r}" for text in wanted if text in data]
    return found
