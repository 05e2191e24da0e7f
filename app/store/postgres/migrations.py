"""Bringing a PostgreSQL database up to the newest schema, one transaction a step."""

from app.store.migrations import SchemaState, pending, steps
from app.store.postgres.driver import Connection

PACKAGE = "app.store.postgres"
PARTS = ("log_schema", "projection_schema")
_LOCK = 0x45646765  # "Edge": replicas that start together migrate one after another


async def migrate(connection: Connection, *parts: str) -> None:
    """Apply what is missing of `parts`. Raises SchemaError, see `app.store.migrations.pending`."""
    for part in parts:
        known = steps(PACKAGE, part)
        while pending(known, await _applied(connection, part)):
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                await connection.execute(
                    "CREATE TABLE IF NOT EXISTS migrations (part text NOT NULL, number integer"
                    " NOT NULL, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz"
                    " NOT NULL DEFAULT now(), PRIMARY KEY (part, number))"
                )
                left = pending(known, await _applied(connection, part))
                if left:  # else another replica was quicker
                    step = left[0]
                    await connection.execute(step.sql)
                    await connection.execute(
                        "INSERT INTO migrations (part, number, name, checksum)"
                        " VALUES ($1, $2, $3, $4)",
                        part, step.number, step.name, step.checksum,
                    )  # fmt: skip


async def states(connection: Connection) -> list[SchemaState]:
    """How far each part is, without changing anything. Raises SchemaError."""
    found = []
    for part in PARTS:
        known = steps(PACKAGE, part)
        missing = {step.name for step in pending(known, await _applied(connection, part))}
        names = [step.name for step in known]
        found.append(
            SchemaState(
                part,
                [name for name in names if name not in missing],
                [name for name in names if name in missing],
            )
        )
    return found


async def _applied(connection: Connection, part: str) -> dict[int, str]:
    """Checksums by number, in the schema where new tables would go."""
    exists = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = current_schema()"
        " AND tablename = 'migrations')"
    )
    if not exists:
        return {}
    rows = await connection.fetch("SELECT number, checksum FROM migrations WHERE part = $1", part)
    return {row["number"]: row["checksum"] for row in rows}
