"""Which runs are to be reconciled when: a table that all replicas claim from."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from app.store.postgres.driver import STATEMENT_TIMEOUT_S, KeptConnection, Row, outages
from app.store.rows import Due

_ASK = """
    INSERT INTO reconciliations AS r (run_uid, due_ms)
    SELECT * FROM unnest($1::text[], $2::bigint[]) AS g (run_uid, due_ms) ORDER BY 1
    ON CONFLICT (run_uid) DO UPDATE SET due_ms = least(r.due_ms, excluded.due_ms),
        problem = CASE WHEN $3 THEN NULL ELSE r.problem END
    WHERE $3 OR (r.failures = 0 AND (r.due_ms IS NULL OR r.due_ms > excluded.due_ms))
"""
_CLAIM = """
    UPDATE reconciliations r
    SET leased_by = $1, leased_until = now() + $2 * interval '1 second', due_ms = NULL
    FROM (
        SELECT run_uid FROM reconciliations
        WHERE leased_until < now() AND (leased_by IS NOT NULL
            OR due_ms <= extract(epoch FROM now()) * 1000)
        ORDER BY due_ms NULLS FIRST, run_uid LIMIT $3
        FOR UPDATE SKIP LOCKED
    ) AS free
    WHERE r.run_uid = free.run_uid
    RETURNING r.run_uid
"""
_RENEW = """
    UPDATE reconciliations SET leased_until = now() + $3 * interval '1 second'
    WHERE run_uid = $1 AND leased_by = $2
"""
_SETTLE = """
    UPDATE reconciliations
    SET leased_by = NULL, leased_until = '-infinity', due_ms = least(due_ms, $3),
        failures = CASE WHEN $4::text IS NULL THEN 0 ELSE failures + 1 END, problem = $4
    WHERE run_uid = $1 AND leased_by = $2
"""


class PostgresQueue:
    """The queue of all replicas, over a connection of its own that is replaced when it broke."""

    def __init__(self, url: str, *, lease_s: float) -> None:
        """`lease_s`: how long a run waits for others when the replica that had it died."""
        self._connection = KeptConnection(url, timeout_s=STATEMENT_TIMEOUT_S)
        self._lease_s = lease_s
        self._holder = str(uuid4())

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def ask(self, due: Mapping[str, int], *, is_forced: bool = False) -> None:
        """Have runs taken at these Unix times in milliseconds, or before."""
        await self._fetch(_ASK, list(due), list(due.values()), is_forced)

    async def claim(self, limit: int) -> list[str]:
        """Up to `limit` runs that are due, or that a replica had that died."""
        rows = await self._fetch(_CLAIM, self._holder, self._lease_s, limit)
        return [row[0] for row in rows]

    async def renew(self, run_uid: str) -> bool:
        """Keep a run; False if somebody else has it."""
        rows = await self._fetch(_RENEW + " RETURNING 1", run_uid, self._holder, self._lease_s)
        return bool(rows)

    async def settle(self, run_uid: str, due_ms: int | None, problem: str | None) -> None:
        """Give a run back, if it is ours still."""
        await self._fetch(_SETTLE, run_uid, self._holder, due_ms, problem)

    async def state(self, run_uid: str) -> Due | None:
        """Where a run stands; None if nobody asked for it."""
        rows = await self._fetch(
            "SELECT CASE WHEN leased_until > now() THEN NULL ELSE due_ms END, failures, problem"
            " FROM reconciliations WHERE run_uid = $1",
            run_uid,
        )
        return Due(*rows[0]) if rows else None

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Row]:
        with outages():
            async with self._connection.held() as connection:
                rows: Sequence[Row] = await connection.fetch(sql, *values)
        return rows
