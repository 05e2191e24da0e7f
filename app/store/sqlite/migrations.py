"""Bringing SQLite files up to the newest schema, one transaction a step."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from app.store.migrations import SchemaState, failed, pending, state, statements, steps
from app.store.protocol import StoreUnavailableError
from app.store.sqlite.driver import (
    Connection,
    Error,
    connect_inspector,
    connect_writer,
    rolled_back,
)

PACKAGE = "app.store.sqlite"


def migrate(connection: Connection, part: str) -> list[str]:
    """Apply what is missing of `part`; the names of the steps that were applied here.

    Raises SchemaError if one fails, or as `app.store.migrations.pending` does.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " checksum TEXT NOT NULL) STRICT"
    )
    done = []
    for step in pending(steps(PACKAGE, part), _applied(connection)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if step.number not in _applied(connection):  # nobody else was quicker
                for statement in statements(step.sql):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?)",
                    (step.number, step.name, step.checksum),
                )
                done.append(step.name)
            connection.execute("COMMIT")
        except Error as error:
            rolled_back(connection)
            raise failed(step, error) from error
        except BaseException:
            rolled_back(connection)
            raise
    return done


def states(files: Mapping[str, Path]) -> list[SchemaState]:
    """How far each file is, by its part, without changing anything.

    A file that is missing has all steps pending, and is not made. Raises SchemaError, or
    StoreUnavailableError if a file cannot be read.
    """
    found = []
    for part, path in files.items():
        applied: dict[int, str] = {}
        if path.exists():
            try:
                with closing(connect_inspector(path)) as connection:
                    applied = _applied(connection)
            except Error as error:
                raise StoreUnavailableError(f"{path} cannot be read: {error}") from error
        found.append(state(part, steps(PACKAGE, part), applied))
    return found


def migrate_files(files: Mapping[str, Path]) -> dict[str, list[str]]:
    """Apply what is missing of each file, by its part; the names of the steps by part.

    A file that is missing is made. Nobody else may have them open meanwhile: a collector of
    the earlier version would go on with statements that no longer fit its tables. Where
    nothing is missing they are left alone. Raises SchemaError, StoreUnavailableError if a
    file is in use or cannot be written, or OSError.
    """
    if not any(state.pending for state in states(files)):
        return {part: [] for part in files}
    with ExitStack() as opened:
        connections: dict[str, Connection] = {}
        for part, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                connection = connect_writer(path, is_alone=True)
            except Error as error:
                raise StoreUnavailableError(
                    f"{path} cannot be opened for migrating: {error};"
                    " stop the collector that has it open, if one does"
                ) from error
            connections[part] = opened.enter_context(closing(connection))
        return {part: migrate(connection, part) for part, connection in connections.items()}


def _applied(connection: Connection) -> dict[int, str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchall():
        return {}  # an empty file
    return dict(connection.execute("SELECT number, checksum FROM migrations").fetchall())
