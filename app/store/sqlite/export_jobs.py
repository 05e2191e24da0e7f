"""Files that were asked for, in the log's file and on its thread."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from app.store.export_jobs import ExportJobs
from app.store.sqlite.driver import Connection

Transact = Callable[[Callable[[Connection], Any]], Awaitable[Any]]


class SqliteExportJobs(ExportJobs):
    """The table of a collector that has its database to itself."""

    now_ms = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

    def __init__(self, transact: Transact) -> None:
        super().__init__()
        self._transact = transact

    async def open(self) -> None:
        """What ran when the process before ended is to be begun again, at once."""
        await self._run("UPDATE exports SET leased_until_ms = 0 WHERE state = 'running'")

    async def _run(self, sql: str, *values: object) -> Sequence[Any]:
        rows: Sequence[Any] = await self._transact(
            lambda connection: connection.execute(sql, values).fetchall()
        )
        return rows
