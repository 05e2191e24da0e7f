"""Keys of the API: a table that all replicas read, alike in both stores.

Of a key its digest is kept, never the key. Statements are written with `?` for each value, as
in `app.store.spelling`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ApiKeyRow(NamedTuple):
    """What is kept of a key."""

    key_id: str
    """Later ones are greater."""
    name: str
    scopes: str
    """As they were given, with commas between."""
    digest: bytes
    """SHA-256 of the key."""
    hint: str
    """The key's last characters."""
    created_ms: int
    expires_ms: int | None = None
    last_used_ms: int | None = None
    revoked_ms: int | None = None

    def is_live(self, now_ms: int) -> bool:
        """Whether the key opens anything at this time."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)


COLUMNS = ", ".join(ApiKeyRow._fields)
_LIVE = "revoked_ms IS NULL AND coalesce(expires_ms > ?, true)"


class ApiKeys(ABC):
    """Everything raises StoreUnavailableError."""

    read_from = "api_keys"
    """The table, as statements that change nothing name it."""

    @abstractmethod
    async def _read(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of a statement that changes nothing."""

    @abstractmethod
    async def _write(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of a statement, in a transaction of its own."""

    @abstractmethod
    async def _write_each(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """A statement for each of these values, all in one transaction."""

    async def add(self, row: ApiKeyRow) -> None:
        """Keep a new key."""
        marks = ", ".join("?" * len(row))
        await self._write(f"INSERT INTO api_keys ({COLUMNS}) VALUES ({marks})", *row)

    async def one(self, key_id: str) -> ApiKeyRow | None:
        """One of them."""
        rows = await self._read(f"SELECT {COLUMNS} FROM {self.read_from} WHERE key_id = ?", key_id)
        return ApiKeyRow(*rows[0]) if rows else None

    async def page(self, *, before: str | None, limit: int) -> list[ApiKeyRow]:
        """The newest first, from behind an id."""
        condition, values = ("WHERE key_id < ?", [before]) if before else ("", [])
        rows = await self._read(
            f"SELECT {COLUMNS} FROM {self.read_from} {condition} ORDER BY key_id DESC LIMIT ?",
            *values,
            limit,
        )
        return [ApiKeyRow(*row) for row in rows]

    async def known(self, now_ms: int, limit: int) -> list[ApiKeyRow]:
        """So many keys: those that are live, then of the others the newest."""
        rows = await self._read(
            f"SELECT {COLUMNS} FROM {self.read_from}"
            f" ORDER BY CASE WHEN {_LIVE} THEN 0 ELSE 1 END, key_id DESC LIMIT ?",
            now_ms,
            limit,
        )
        return [ApiKeyRow(*row) for row in rows]

    async def live(self, now_ms: int) -> int:
        """How many keys open anything."""
        rows = await self._read(f"SELECT count(*) FROM {self.read_from} WHERE {_LIVE}", now_ms)
        return int(rows[0][0])

    async def revoke(self, key_id: str, now_ms: int) -> bool:
        """Let a key open nothing any more; the first time stays. False if there is none."""
        rows = await self._write(
            "UPDATE api_keys SET revoked_ms = coalesce(revoked_ms, ?) WHERE key_id = ? RETURNING 1",
            now_ms,
            key_id,
        )
        return bool(rows)

    async def note_used(self, used_ms: Mapping[str, int], *, apart_ms: int) -> None:
        """Note when keys were used, by id; of each only if its last time is so long ago."""
        await self._write_each(
            "UPDATE api_keys SET last_used_ms = ?"
            " WHERE key_id = ? AND coalesce(last_used_ms <= ?, true)",
            [(ms, key_id, ms - apart_ms) for key_id, ms in used_ms.items()],
        )
