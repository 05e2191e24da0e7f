"""Files that were asked for, over a connection of its own: never in the way of the log."""

from collections.abc import Sequence
from typing import Any

from app.store.export_jobs import ExportJobs
from app.store.postgres.driver import STATEMENT_TIMEOUT_S, KeptConnection, outages
from app.store.postgres.reader import numbered


class PostgresExportJobs(ExportJobs):
    """The table of all replicas."""

    now_ms = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    skip_locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._connection = KeptConnection(url, timeout_s=STATEMENT_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _run(self, sql: str, *values: object) -> Sequence[Any]:
        with outages():
            async with self._connection.held() as connection:
                rows: Sequence[Any] = await connection.fetch(numbered(sql), *values)
        return rows
