"""The outbox in PostgreSQL: shared by all replicas, over a connection of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.event import Event
from app.store.outbox import RELAYED_AT_ONCE, Outbox, Raised, Transaction, unique
from app.store.outbox_rows import EndpointRow
from app.store.postgres.driver import (
    EVENTS_CHANNEL,
    STATEMENT_TIMEOUT_S,
    Connection,
    KeptConnection,
    outages,
)
from app.store.postgres.reader import numbered
from app.store.raised import EVENT_COLUMNS
from app.store.sink_queue import RUN_COLUMNS
from app.store.sink_rows import SinkRunRow

_LEASE = f"""
    UPDATE endpoints SET leased_by = ?, leased_until = now() + ? * interval '1 second'
    WHERE endpoint_id IN (
        SELECT endpoint_id FROM endpoints
        WHERE state = 'active' AND (leased_by = ? OR leased_until < now())
        ORDER BY endpoint_id FOR UPDATE SKIP LOCKED
    )
    RETURNING {", ".join(EndpointRow._fields)}
"""


_CLAIM_RUN = f"""
    UPDATE sink_runs SET leased_by = ?, leased_until = now() + ? * interval '1 second'
    WHERE (run_uid, sink_id) IN (
        SELECT run_uid, sink_id FROM sink_runs
        WHERE sink_id = ? AND state = 'pending' AND due_ms <= ? AND leased_until < now()
        ORDER BY due_ms, run_uid LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING {RUN_COLUMNS}
"""


class PostgresOutbox(Outbox):
    """Every call that writes is one transaction."""

    for_update = " FOR UPDATE"
    unleased = ", leased_by = NULL, leased_until = '-infinity'"
    run_is_ours = " AND leased_by = ?"

    def __init__(self, url: str) -> None:
        self._connection = KeptConnection(url, timeout_s=STATEMENT_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        with outages():
            async with self._connection.held() as connection, connection.transaction():
                yield _PostgresTransaction(connection)

    async def _fetch(self, sql: str, *values: object) -> Sequence[Any]:
        with outages():
            async with self._connection.held() as connection:
                return await _PostgresTransaction(connection).fetch(sql, *values)

    async def _raised(self, transaction: Transaction) -> Raised:
        rows = await transaction.fetch(
            f"SELECT raised_no, {EVENT_COLUMNS} FROM raised_events ORDER BY raised_no LIMIT ?",
            RELAYED_AT_ONCE,
        )
        events = [Event(*row[1:]) for row in rows]
        taken = [(row["run_uid"], row["raised_no"]) for row in rows] or None
        return Raised(events, taken, len(rows) < RELAYED_AT_ONCE)

    async def _fresh(self, transaction: Transaction, events: Sequence[Event]) -> list[Event]:
        rows = await transaction.fetch(
            "SELECT event_id FROM events WHERE event_id = ANY(?::text[])",
            [one.event_id for one in events],
        )
        return unique(events, {row[0] for row in rows})

    async def _mark(self, transaction: Transaction, taken: Any) -> None:
        run_uids, numbers = zip(*taken, strict=True)
        await transaction.execute(
            "DELETE FROM raised_events r USING unnest(?::text[], ?::bigint[])"
            " AS t (run_uid, raised_no)"
            " WHERE r.run_uid = t.run_uid AND r.raised_no = t.raised_no",
            list(run_uids),
            list(numbers),
        )
        await self._tell(transaction)

    async def _tell(self, transaction: Transaction) -> None:
        await transaction.execute(f"NOTIFY {EVENTS_CHANNEL}")

    async def lease(self, holder: str, lease_s: float) -> list[EndpointRow]:
        """Active endpoints that no other replica has."""
        async with self._transaction() as transaction:
            rows = await transaction.fetch(_LEASE, holder, lease_s, holder)
        return [EndpointRow(*row) for row in rows]

    async def release(self, holder: str) -> None:
        """Let others have what this replica has."""
        async with self._transaction() as transaction:
            await transaction.execute(
                "UPDATE endpoints SET leased_by = NULL, leased_until = '-infinity'"
                " WHERE leased_by = ?",
                holder,
            )

    # ------------------------------------------------------------------- sinks

    async def claim_run(
        self, sink_id: str, holder: str, lease_s: float, now_ms: int
    ) -> SinkRunRow | None:
        """The first that is due and that no other replica has."""
        async with self._transaction() as transaction:
            rows = await transaction.fetch(_CLAIM_RUN, holder, lease_s, sink_id, now_ms)
        return SinkRunRow(*rows[0]) if rows else None

    async def keep_run(self, row: SinkRunRow, holder: str, lease_s: float) -> bool:
        """Keep a run for longer; False if another replica has it."""
        async with self._transaction() as transaction:
            kept = await transaction.execute(
                "UPDATE sink_runs SET leased_until = now() + ? * interval '1 second'"
                " WHERE run_uid = ? AND sink_id = ? AND leased_by = ?",
                lease_s, row.run_uid, row.sink_id, holder,
            )  # fmt: skip
        return bool(kept)

    async def release_runs(self, holder: str) -> None:
        """Let others have what this replica has."""
        async with self._transaction() as transaction:
            await transaction.execute(
                "UPDATE sink_runs SET leased_by = NULL, leased_until = '-infinity'"
                " WHERE leased_by = ?",
                holder,
            )


class _PostgresTransaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *values: object) -> Sequence[Any]:
        rows: Sequence[Any] = await self._connection.fetch(numbered(sql), *values)
        return rows

    async def execute(self, sql: str, *values: object) -> int:
        status = await self._connection.execute(numbered(sql), *values)
        return int(status.rpartition(" ")[2]) if status[-1].isdigit() else 0

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            await self._connection.executemany(numbered(sql), rows)
