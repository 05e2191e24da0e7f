"""Files that were asked for: a table that all replicas claim from, alike in both stores.

Statements are written with `?` for each value, as in `app.store.spelling`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

LEASE_MS = 30_000
"""How long a job waits for another replica when the one that had it died."""


class ExportRow(NamedTuple):
    """A file that was asked for."""

    export_id: str
    """Later ones are greater."""
    idempotency_key: str | None
    request: str
    """As it was sent, JSON."""
    state: str
    """`queued`, `running`, `done`, `failed` or `expired`."""
    tries: int
    """How often it was begun."""
    facts: str
    """What is known of the file, JSON."""
    created_ms: int
    finished_ms: int | None = None
    expires_ms: int | None = None


_COLUMNS = ", ".join(ExportRow._fields)


class ExportJobs(ABC):
    """Everything raises StoreUnavailableError."""

    now_ms: str
    """The time by the clock of the store."""
    skip_locked = ""

    def __init__(self) -> None:
        self._holder = str(uuid4())

    @abstractmethod
    async def _run(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of a statement, in a transaction of its own."""

    async def add(self, row: ExportRow) -> ExportRow:
        """Ask for a file; of requests with the same key, the first one counts, and is returned."""
        marks = ", ".join("?" * len(row))
        rows = await self._run(
            f"INSERT INTO exports ({_COLUMNS}) VALUES ({marks})"
            f" ON CONFLICT (idempotency_key) DO NOTHING RETURNING {_COLUMNS}",
            *row,
        )
        if not rows:
            rows = await self._run(
                f"SELECT {_COLUMNS} FROM exports WHERE idempotency_key = ?", row.idempotency_key
            )
        return ExportRow(*rows[0]) if rows else await self.add(row)  # it was dropped meanwhile

    async def one(self, export_id: str) -> ExportRow | None:
        """One of them."""
        rows = await self._run(f"SELECT {_COLUMNS} FROM exports WHERE export_id = ?", export_id)
        return ExportRow(*rows[0]) if rows else None

    async def page(self, *, before: str | None, limit: int) -> list[ExportRow]:
        """The newest first, from behind an id."""
        condition, values = ("WHERE export_id < ?", [before]) if before else ("", [])
        rows = await self._run(
            f"SELECT {_COLUMNS} FROM exports {condition} ORDER BY export_id DESC LIMIT ?",
            *values,
            limit,
        )
        return [ExportRow(*row) for row in rows]

    async def waiting(self) -> int:
        """How many are not made yet."""
        rows = await self._run("SELECT count(*) FROM exports WHERE state IN ('queued', 'running')")
        return int(rows[0][0])

    async def claim(self) -> ExportRow | None:
        """The one that waits longest, or whose replica died: ours until it is settled."""
        rows = await self._run(
            "UPDATE exports SET state = 'running', tries = tries + 1, leased_by = ?,"
            f" leased_until_ms = {self.now_ms} + ? WHERE export_id = (SELECT export_id FROM exports"
            " WHERE state IN ('queued', 'running') AND (state = 'queued'"
            f" OR leased_until_ms < {self.now_ms})"
            f" ORDER BY created_ms, export_id LIMIT 1 {self.skip_locked}) RETURNING {_COLUMNS}",
            self._holder,
            LEASE_MS,
        )
        return ExportRow(*rows[0]) if rows else None

    async def note(self, export_id: str, facts: str) -> bool:
        """Keep a job for another `LEASE_MS`; False if it is gone, or somebody else's."""
        rows = await self._run(
            f"UPDATE exports SET facts = ?, leased_until_ms = {self.now_ms} + ?"
            " WHERE export_id = ? AND leased_by = ? AND state = 'running' RETURNING 1",
            facts,
            LEASE_MS,
            export_id,
            self._holder,
        )
        return bool(rows)

    async def settle(
        self, export_id: str, state: str, facts: str, *, kept_ms: int | None = None
    ) -> bool:
        """Give a job back: as `done` or `failed` and to be kept so long, or `queued` again.

        False if it is gone, or somebody else's.
        """
        rows = await self._run(
            "UPDATE exports SET state = ?, facts = ?, leased_by = NULL, leased_until_ms = 0,"
            f" finished_ms = CASE WHEN ? THEN {self.now_ms} END,"
            f" expires_ms = CASE WHEN ? THEN {self.now_ms} + ? END"
            " WHERE export_id = ? AND leased_by = ? AND state = 'running' RETURNING 1",
            state,
            facts,
            kept_ms is not None,
            kept_ms is not None,
            kept_ms or 0,
            export_id,
            self._holder,
        )
        return bool(rows)

    async def remove(self, export_id: str) -> bool:
        """Drop one, whatever its state; False if there is none."""
        rows = await self._run("DELETE FROM exports WHERE export_id = ? RETURNING 1", export_id)
        return bool(rows)

    async def expire(self, kept_ms: int) -> None:
        """Let go of what is over: of files at once, of rows after another `kept_ms`."""
        await self._run(
            "UPDATE exports SET state = 'expired'"
            f" WHERE state = 'done' AND expires_ms <= {self.now_ms}"
        )
        await self._run(
            "DELETE FROM exports WHERE state IN ('expired', 'failed')"
            f" AND expires_ms <= {self.now_ms} - ?",
            kept_ms,
        )

    async def states(self) -> dict[str, str]:
        """The states of those whose files are needed, by id."""
        rows = await self._run(
            "SELECT export_id, state FROM exports WHERE state IN ('queued', 'running', 'done')"
        )
        return dict(map(tuple, rows))
