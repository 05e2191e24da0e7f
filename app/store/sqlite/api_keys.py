"""Keys of the API, in the log's file: written on its thread, read beside it."""

from collections.abc import Sequence
from typing import Any

from app.store.api_keys import ApiKeys
from app.store.sqlite.export_jobs import Transact
from app.store.sqlite.reader import SqliteReader


class SqliteApiKeys(ApiKeys):
    """The table of a collector that has its database to itself."""

    read_from = "log.api_keys"

    def __init__(self, transact: Transact, reader: SqliteReader) -> None:
        self._transact = transact
        self._reader = reader

    async def _read(self, sql: str, *values: object) -> Sequence[Any]:
        return await self._reader.log_rows(sql, *values)

    async def _write(self, sql: str, *values: object) -> Sequence[Any]:
        rows: Sequence[Any] = await self._transact(
            lambda connection: connection.execute(sql, values).fetchall()
        )
        return rows

    async def _write_each(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        await self._transact(lambda connection: connection.executemany(sql, rows))
