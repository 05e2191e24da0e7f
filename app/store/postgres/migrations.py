"""Bringing a PostgreSQL database up to the newest schema, one transaction a step."""

from app.store.migrations import PARTS, SchemaState, failed, pending, state, steps
from app.store.postgres.driver import (
    OUTAGE,
    STATEMENT_TIMEOUT_S,
    Connection,
    check_server,
    connect,
    outages,
    reason,
)

PACKAGE = "app.store.postgres"
_LOCK = 0x45646765  # "Edge": replicas that start together migrate one after another


async def migrate(connection: Connection, *parts: str) -> dict[str, list[str]]:
    """Apply what is missing of `parts`; by part, the names of the steps that were applied here.

    Raises SchemaError if one fails, or as `app.store.migrations.pending` does.
    """
    done: dict[str, list[str]] = {}
    for part in parts:
        known = steps(PACKAGE, part)
        done[part] = []
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
                    try:
                        await connection.execute(step.sql)
                    except OUTAGE as error:
                        raise failed(step, reason(error)) from error
                    await connection.execute(
                        "INSERT INTO migrations (part, number, name, checksum)"
                        " VALUES ($1, $2, $3, $4)",
                        part, step.number, step.name, step.checksum,
                    )  # fmt: skip
            if left:
                done[part].append(step.name)
    return done


async def migrate_database(url: str) -> dict[str, list[str]]:
    """`migrate` all parts of the database at `url`, if it is one to write to.

    Raises SchemaError or StoreUnavailableError.
    """
    with outages():
        connection = await connect(url)
        try:
            await check_server(connection)
            return await migrate(connection, *PARTS)
        finally:
            await connection.close(timeout=STATEMENT_TIMEOUT_S)


async def states(url: str) -> list[SchemaState]:
    """How far each part is, without changing anything.

    Raises SchemaError or StoreUnavailableError.
    """
    with outages():
        connection = await connect(
            url, {"default_transaction_read_only": "on"}, timeout_s=STATEMENT_TIMEOUT_S
        )
        try:
            return [
                state(part, steps(PACKAGE, part), await _applied(connection, part))
                for part in PARTS
            ]
        finally:
            await connection.close(timeout=STATEMENT_TIMEOUT_S)


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
