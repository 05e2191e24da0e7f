"""The outbox of a SQLite database as a copy reads it, beside the log over one connection."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.event import Event
from app.store.kept_outbox import KeptOutbox, KeptTable
from app.store.protocol import SchemaError
from app.store.raised import EVENT_COLUMNS
from app.store.sqlite.driver import Connection
from app.store.sqlite.migrations import states
from app.store.sqlite.outbox import SCHEMA


class SqliteOutboxSource:
    """Without a file, or in one that no collector has opened yet, the outbox is empty."""

    def __init__(self, connection: Connection, path: Path) -> None:
        """To be made outside of any transaction. Raises SchemaError or StoreUnavailableError."""
        self._connection = connection
        (state,) = states({SCHEMA: path})
        if state.applied and state.pending:
            raise SchemaError(
                f"{path} was written by an earlier version, and lacks"
                f" {', '.join(state.pending)}: run `edges-collector migrate up` on it first"
            )
        self._is_there = bool(state.applied)
        if self._is_there:
            connection.execute("ATTACH DATABASE ? AS outbox", (str(path),))

    def announced_seq(self, log_next_seq: int) -> int:
        """Before it all that the log causes is among the events.

        Where there is no outbox yet, what is logged is no news to the one that will be made.
        """
        relay = self._relay()
        return log_next_seq if relay is None else relay[1]

    def kept(self) -> KeptOutbox:
        """All of it."""
        relay = self._relay()
        return KeptOutbox(1 if relay is None else relay[0], self.rows, self.waiting())

    def rows(self, table: KeptTable) -> Iterator[tuple[Any, ...]]:
        """All rows of a table, by its key."""
        if self._is_there:
            yield from self._connection.execute(
                f"SELECT {table.listed_columns} FROM outbox.{table.name}"
                f" ORDER BY {table.listed_key}"
            )

    def waiting(self) -> Iterator[Event]:
        """What was raised beside the log of callbacks, and is not among the events yet."""
        known = (
            " WHERE NOT EXISTS (SELECT 1 FROM outbox.events e WHERE e.event_id = r.event_id)"
            if self._is_there
            else ""
        )
        # What the projection raised and nobody has taken over is left out: it was derived of
        # callbacks from announced_seq on, and the target raises it when it derives them itself.
        for row in self._connection.execute(
            f"SELECT {EVENT_COLUMNS} FROM main.raised_events r{known} ORDER BY raised_no"
        ):
            yield Event(*row)

    def pending(self) -> int:
        """How many deliveries are on their way."""
        if not self._is_there:
            return 0
        (count,) = self._connection.execute(
            "SELECT count(*) FROM outbox.deliveries WHERE state = 'pending'"
        ).fetchone()
        return int(count)

    def _relay(self) -> tuple[int, int] | None:
        if not self._is_there:
            return None
        row = self._connection.execute(
            "SELECT next_event_no, announced_seq FROM outbox.relay"
        ).fetchone()
        return None if row is None else (int(row[0]), int(row[1]))
