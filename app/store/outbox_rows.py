"""What the outbox holds, as rows: endpoints, deliveries, and what came of trying them."""

from typing import NamedTuple

from app.event import Event


class EndpointRow(NamedTuple):
    """Where events go."""

    endpoint_id: str
    state: str
    """`active`, `paused` or `disabled`."""
    reason: str | None
    """Why it is disabled."""
    config: str
    """JSON; see `app.notify.endpoint`."""
    secrets: str
    """Sealed JSON; likewise."""
    version: int
    """Rises with each change."""
    created_ms: int
    updated_ms: int
    failing_since_ms: int | None
    """Since when nothing was delivered although it was tried; None if the last try succeeded."""
    delivered_ms: int | None
    """When something last was."""


class NumberedEvent(NamedTuple):
    """An event in the order in which all are told."""

    event_no: int
    event: Event


class DueDelivery(NamedTuple):
    """A delivery that is to be tried, with its event."""

    delivery_id: str
    run_uid: str
    event_id: str
    event_no: int
    """0 for a test, which has no event."""
    type: str
    tries: int
    """Those that were made since it was last asked for."""
    attempts: int
    """All that were ever made."""
    created_ms: int
    event: Event | None
    """None for a test."""


class SettledTry(NamedTuple):
    """What came of one try, and where that leaves its delivery."""

    endpoint_id: str
    run_uid: str
    delivery_id: str
    attempt_no: int
    """From 1, over all attempts."""
    tries: int
    at_ms: int
    took_ms: int
    status: int | None
    problem: str | None
    answer: str
    state: str
    """`pending`, `delivered` or `failed`."""
    due_ms: int
    """When it is to be tried again."""


class DeliveryRow(NamedTuple):
    """A delivery as lists show it."""

    delivery_id: str
    run_uid: str
    endpoint_id: str
    event_id: str
    event_no: int
    type: str
    state: str
    due_ms: int
    tries: int
    attempts: int
    created_ms: int
    finished_ms: int | None
    last_status: int | None
    last_problem: str | None


class AttemptRow(NamedTuple):
    """A try as lists show it."""

    attempt_no: int
    at_ms: int
    took_ms: int
    status: int | None
    problem: str | None
    answer: str
