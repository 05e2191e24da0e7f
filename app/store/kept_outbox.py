"""What a copy takes of an outbox: tables that both stores have alike, row by row."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from app.event import Event
from app.store.outbox_rows import AttemptRow, DeliveryRow, EndpointRow
from app.store.sink_rows import SinkRow, SinkRunRow


class KeptTable(NamedTuple):
    """A table, and in which order it is read."""

    name: str
    columns: Sequence[str]
    key: Sequence[str]

    @property
    def listed_columns(self) -> str:
        """For a statement."""
        return ", ".join(self.columns)

    @property
    def listed_key(self) -> str:
        """Likewise."""
        return ", ".join(self.key)


ENDPOINTS = KeptTable("endpoints", EndpointRow._fields, ("endpoint_id",))
EVENTS = KeptTable("events", ("event_no", *Event._fields), ("event_no",))
DELIVERIES = KeptTable("deliveries", DeliveryRow._fields, ("delivery_id",))
ATTEMPTS = KeptTable(
    "attempts",
    ("run_uid", "delivery_id", *AttemptRow._fields),
    ("run_uid", "delivery_id", "attempt_no"),
)
SINKS = KeptTable("sinks", SinkRow._fields, ("sink_id",))
SINK_RUNS = KeptTable("sink_runs", SinkRunRow._fields, ("run_uid", "sink_id"))
TABLES = (ENDPOINTS, EVENTS, DELIVERIES, ATTEMPTS, SINKS, SINK_RUNS)


class KeptOutbox(NamedTuple):
    """An outbox, as it is read to be copied."""

    next_event_no: int
    rows: Callable[[KeptTable], Iterator[tuple[Any, ...]]]
    """All rows of one of `TABLES`, by its key."""
    waiting: Iterable[Event]
    """Raised beside the log of callbacks, and not among the events yet; in order."""
