"""Events: what happened to a run, an input or the collector, told once for each cause."""

from enum import StrEnum
from typing import NamedTuple

from app.canonical import Json, digest, dumps


class EventType(StrEnum):
    """What can happen. Names are those of the public contract."""

    RUN_STARTED = "run.started"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_PARTIAL_SUCCEEDED = "run.partial_succeeded"
    RUN_FAILED = "run.failed"
    RUN_BLOCKED = "run.blocked"
    RUN_STOPPED = "run.stopped"
    RUN_INVALID = "run.invalid"
    RUN_COMPLETED = "run.completed"
    """Verified whole."""
    RUN_INCOMPLETE = "run.incomplete"
    INPUT_FAILED = "input.failed"
    CALLBACK_QUARANTINED = "callback.quarantined"
    CALLBACK_CONFLICT = "callback.conflict"
    CALLBACKS_LOST = "callbacks.lost"
    SCHEDULE_MISSED = "schedule.missed"
    ENDPOINT_DISABLED = "endpoint.disabled"


TEST = "endpoint.test"
"""Sent when somebody tries an endpoint; no event of the log of events."""

PROGRESS = "run.progress"
"""Told live, and kept nowhere."""


class Event(NamedTuple):
    """One event, as it is raised."""

    event_id: str
    """The same for the same cause, whenever and wherever it is derived."""
    type: str
    run_uid: str
    """Empty where it is of no run."""
    subject: str | None
    """Of what it speaks: the run's uid, or else what the type says."""
    time_ms: int
    """Unix time in milliseconds."""
    action_name: str | None
    scheduled_run_uid: str | None
    data: str
    """JSON."""


def event(
    kind: str,
    cause: str,
    *,
    time_ms: int,
    data: Json,
    run_uid: str = "",
    subject: str | None = None,
    action_name: str | None = None,
    scheduled_run_uid: str | None = None,
) -> Event:
    """An event; `cause` tells it apart from others of the same type and run (or subject)."""
    about = subject or run_uid
    identity = digest(dumps([kind, about, cause])).hex()
    return Event(
        f"evt_{identity}",
        kind,
        run_uid,
        about or None,
        time_ms,
        action_name,
        scheduled_run_uid,
        dumps(data).decode(),
    )
