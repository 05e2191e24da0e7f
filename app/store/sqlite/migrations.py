"""Numbered SQL files, applied once each, in order, and recognised by their checksum."""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from app.store.protocol import SchemaError
from app.store.sqlite.driver import Connection, rolled_back


class Migration(NamedTuple):
    """One step of a schema: `number` from the file's name, `checksum` of its text."""

    number: int
    name: str
    sql: str
    checksum: str


def migrations(folder: str) -> list[Migration]:
    """The steps in `app/store/sqlite/<folder>`, first to last."""
    found = []
    for entry in files("app.store.sqlite").joinpath(folder).iterdir():
        if entry.name.endswith(".sql"):
            sql = entry.read_text("utf-8")
            checksum = hashlib.sha256(sql.encode()).hexdigest()
            found.append(Migration(int(entry.name[:4]), entry.name, sql, checksum))
    return sorted(found)


def migrate(connection: Connection, folder: str) -> None:
    """Bring the database up to the newest step of `folder`, one transaction each.

    Raises SchemaError if the database was written by a newer version, or by steps
    whose text has changed since.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " checksum TEXT NOT NULL) STRICT"
    )
    known = migrations(folder)
    for step in known:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not _is_applied(connection, step):
                for statement in _statements(step.sql):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?)",
                    (step.number, step.name, step.checksum),
                )
            connection.execute("COMMIT")
        except BaseException:
            rolled_back(connection)
            raise
    check(connection, folder)


def check(connection: Connection, folder: str) -> None:
    """Raise SchemaError unless the database is at the newest step of `folder`."""
    newest = connection.execute("SELECT max(number) FROM migrations").fetchone()[0] or 0
    ours = migrations(folder)[-1].number
    if newest > ours:
        raise SchemaError(
            f"the database has schema {newest}, this version of the collector knows {ours}:"
            " install the newer version that wrote it"
        )
    if newest < ours:
        raise SchemaError(f"the database has schema {newest}, {ours} is needed: migrate it first")


def _is_applied(connection: Connection, step: Migration) -> bool:
    row = connection.execute(
        "SELECT checksum FROM migrations WHERE number = ?", (step.number,)
    ).fetchone()
    if row and row[0] != step.checksum:
        raise SchemaError(
            f"migration {step.name} was changed after it was applied to this database:"
            " restore the file's text, and put the change into a new migration"
        )
    return row is not None


def _statements(sql: str) -> list[str]:
    """The statements of a file: they end with a semicolon at the end of a line."""
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return [part for part in ("\n".join(lines)).split(";\n") if part.strip(" ;\n")]
