"""Keys of the API, over a connection of its own: who asks does not wait for what others read."""

from collections.abc import Sequence
from typing import Any

from app.store.api_keys import ApiKeys
from app.store.postgres.driver import STATEMENT_TIMEOUT_S, KeptConnection, outages
from app.store.postgres.reader import numbered


class PostgresApiKeys(ApiKeys):
    """The table of all replicas."""

    def __init__(self, url: str) -> None:
        self._connection = KeptConnection(url, timeout_s=STATEMENT_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _read(self, sql: str, *values: object) -> Sequence[Any]:
        return await self._write(sql, *values)

    async def _write(self, sql: str, *values: object) -> Sequence[Any]:
        with outages():
            async with self._connection.held() as connection:
                rows: Sequence[Any] = await connection.fetch(numbered(sql), *values)
        return rows

    async def _write_each(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        with outages():
            async with self._connection.held() as connection:
                await connection.executemany(numbered(sql), rows)
