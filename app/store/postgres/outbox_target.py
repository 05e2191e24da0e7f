"""The outbox of a PostgreSQL database as a copy writes it, and reads it back."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.event import Event
from app.store.kept_outbox import TABLES, KeptOutbox, KeptTable
from app.store.postgres.driver import BlockingConnection
from app.store.postgres.paging import paged
from app.store.raised import EVENT_COLUMNS

LOCKED_TABLES = ", ".join(["relay", *(table.name for table in TABLES)])
"""Nobody writes them while they are replaced."""

_ROWS_AT_ONCE = 500
_NONE_BY_RUN = "run_uid = ''"
"""Raised by what is kept beside callbacks; all else is derived of them."""

_ANNOUNCE = """
    INSERT INTO announcements AS a (run_uid, announced_seq)
    SELECT * FROM unnest($1::text[], $2::bigint[]) AS u (run_uid, announced_seq) ORDER BY run_uid
    ON CONFLICT (run_uid) DO UPDATE
    SET announced_seq = greatest(a.announced_seq, excluded.announced_seq)
"""
# Whoever is projecting one of these runs saves nothing of it. Nobody claims it in the next
# moment either, with a view of the announcements from before this transaction.
_INTERRUPT = """
    INSERT INTO projections (run_uid, leased_until)
    SELECT run_uid, clock_timestamp() + interval '1 second' FROM unnest($1::text[]) AS u (run_uid)
    ORDER BY run_uid
    ON CONFLICT (run_uid) DO UPDATE SET leased_by = NULL, leased_until = excluded.leased_until
"""
_FORGET_TOLD = """
    DELETE FROM raised_events r
    USING unnest($1::text[], $2::bigint[]) AS u (run_uid, announced_seq)
    WHERE r.run_uid = u.run_uid AND u.announced_seq >= coalesce((
        SELECT a.announced_seq FROM announcements a WHERE a.run_uid = u.run_uid
    ), 1)
"""


class PostgresOutboxTarget:
    """Part of a target; whoever calls it holds the transaction."""

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection

    def announce(self, announced: Mapping[str, int]) -> None:
        """Have nothing raised by what is derived of these runs before these seqs.

        To be called in the transaction that logs it.
        """
        if announced:
            self._connection.execute(_ANNOUNCE, list(announced), list(announced.values()))

    def announce_late(self, announced: Mapping[str, int]) -> None:
        """Likewise, of what an earlier copy has logged.

        The source has told since what was news then. What was raised here of the same callbacks
        is forgotten, if the source has told of all that was derived here of the run. If it told
        of a part, events with the same id are told once, as always.
        """
        uids, seqs = list(announced), list(announced.values())
        self._connection.execute(_INTERRUPT, uids)
        self._connection.execute(_FORGET_TOLD, uids, seqs)
        self._connection.execute(_ANNOUNCE, uids, seqs)

    def replace(self, kept: KeptOutbox) -> None:
        """Make all of it the source's. What is derived here of callbacks stays raised."""
        for table in TABLES:
            self._connection.execute(f"DELETE FROM {table.name}")
            for page in paged(map(self.storable, kept.rows(table)), _text_size):
                self._connection.copy(table.name, table.listed_columns, page)
        self._connection.execute("UPDATE relay SET next_event_no = $1", kept.next_event_no)
        self._connection.execute(f"DELETE FROM raised_events WHERE {_NONE_BY_RUN}")
        for waiting in paged(map(self.storable, kept.waiting), _text_size):
            self._connection.copy("raised_events", EVENT_COLUMNS, waiting)

    @staticmethod
    def storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row as it is kept here: text cannot hold a NUL."""
        return tuple(
            value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
            for value in row
        )

    # --------------------------------------------------------------- reading

    def rows(self, table: KeptTable) -> Iterator[tuple[Any, ...]]:
        """All rows of a table, by its key."""
        places = [table.columns.index(name) for name in table.key]
        after: list[Any] = [0 if name.endswith("_no") else "" for name in table.key]
        marks = ", ".join(f"${place}" for place in range(1, len(after) + 1))
        while rows := self._connection.fetch(
            f"SELECT {table.listed_columns} FROM {table.name}"
            f" WHERE ({table.listed_key}) > ({marks})"
            f" ORDER BY {table.listed_key} LIMIT {_ROWS_AT_ONCE}",
            *after,
        ):
            yield from map(tuple, rows)
            after = [rows[-1][place] for place in places]

    def waiting(self) -> Iterator[Event]:
        """What was raised beside the log of callbacks, in order."""
        after = 0
        while rows := self._connection.fetch(
            f"SELECT raised_no, {EVENT_COLUMNS} FROM raised_events"
            f" WHERE {_NONE_BY_RUN} AND raised_no > $1 ORDER BY raised_no LIMIT {_ROWS_AT_ONCE}",
            after,
        ):
            yield from (Event(*row[1:]) for row in map(tuple, rows))
            after = rows[-1][0]

    def next_event_no(self) -> int:
        """The number of the next event."""
        return int(self._connection.fetch("SELECT next_event_no FROM relay")[0][0])


def _text_size(row: tuple[Any, ...]) -> int:
    return sum(len(value) for value in row if isinstance(value, str))
