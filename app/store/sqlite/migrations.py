"""Bringing a SQLite file up to the newest schema, one transaction a step."""

from app.store.migrations import SchemaState, pending, statements, steps
from app.store.sqlite.driver import Connection, rolled_back

PACKAGE = "app.store.sqlite"


def migrate(connection: Connection, part: str) -> None:
    """Apply what is missing of `part`. Raises SchemaError, see `app.store.migrations.pending`."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " checksum TEXT NOT NULL) STRICT"
    )
    known = steps(PACKAGE, part)
    for step in pending(known, _applied(connection)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if step.number not in _applied(connection):  # nobody else was quicker
                for statement in statements(step.sql):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?)",
                    (step.number, step.name, step.checksum),
                )
            connection.execute("COMMIT")
        except BaseException:
            rolled_back(connection)
            raise


def state(connection: Connection, part: str) -> SchemaState:
    """How far `part` is, without changing anything. Raises SchemaError."""
    known = steps(PACKAGE, part)
    missing = {step.name for step in pending(known, _applied(connection))}
    names = [step.name for step in known]
    return SchemaState(
        part,
        [name for name in names if name not in missing],
        [name for name in names if name in missing],
    )


def _applied(connection: Connection) -> dict[int, str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchall():
        return {}  # an empty file
    return dict(connection.execute("SELECT number, checksum FROM migrations").fetchall())
