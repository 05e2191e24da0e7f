"""What the outbox holds of standing sinks, as rows."""

from typing import NamedTuple


class SinkRow(NamedTuple):
    """Where results go by themselves."""

    sink_id: str
    state: str
    """`active` or `paused`."""
    config: str
    """JSON; see `app.sinks.standing`."""
    secrets: str
    """Its address, sealed."""
    version: int
    """Rises with each change."""
    seen_event_no: int
    """The runs of all events up to this one were asked for."""
    backfill_after: str | None
    """Of the runs that were there before, those up to this uid were; None if none are to be."""
    created_ms: int
    updated_ms: int


class SinkRunRow(NamedTuple):
    """A run that is to be in a sink, and what became of it."""

    run_uid: str
    sink_id: str
    state: str
    """`pending`, `done` or `failed`."""
    is_forced: int
    """Whether it is to be written also if it is there as it is."""
    asked: int
    """How often it was asked for."""
    due_ms: int
    tries: int
    """Those that failed since it was last asked for."""
    changed_ms: int
    written_version: str | None
    row_count: int | None
    took_ms: int | None
    written_ms: int | None
    problem: str | None
    """Why the last try failed; None if it did not."""
    notes: str | None
    """What users should know of what was written: JSON, a list of texts."""
