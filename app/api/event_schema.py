"""Events, endpoints and deliveries as types: what /openapi.json says of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.api.schema import Timestamp
from app.notify.endpoint import EndpointConfig


class Event(BaseModel):
    """A CloudEvents 1.0 envelope."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: Annotated[str, Field(description="`edges.collector.` and the event type.")]
    subject: Annotated[str | None, Field(description="The run's uid, where it is of one.")] = None
    time: Timestamp
    datacontenttype: Literal["application/json"]
    data: Annotated[Any, Field(description="The run as it was then, and what the type adds.")]


class NewEndpoint(EndpointConfig):
    """An endpoint to be made."""

    headers: Annotated[
        dict[str, str],
        Field(default_factory=dict, description="Sent with each delivery; shown by name only."),
    ]


class EndpointChange(BaseModel):
    """What is to change of an endpoint; any part of it, and its state.

    Headers are replaced all together; one with the value `…`, as it is shown, keeps its own.
    """

    state: Literal["active", "paused"] | None = None


class Endpoint(NewEndpoint):
    """Where events go."""

    id: str
    state: Literal["active", "paused", "disabled"]
    disabled_reason: str | None
    public_key: Annotated[str | None, Field(description="`whpk_…`, if it signs with `v1a`.")]
    deliveries_pending: int
    failing_since: Timestamp | None
    last_delivered_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp


class CreatedEndpoint(Endpoint):
    """An endpoint, with what is shown once."""

    secret: Annotated[str | None, Field(description="`whsec_…`, and never again.")]


class NewSecret(BaseModel):
    """A secret, shown once."""

    id: str
    secret: str | None
    public_key: str | None
    previous_secret_signs_until: Annotated[
        Timestamp | None, Field(description="None if the one before could not be read.")
    ]


class SentTest(BaseModel):
    """A test is on its way."""

    delivery_id: str


class Redelivery(BaseModel):
    """What is to be delivered again: one of the two."""

    failed_since: Annotated[
        Timestamp | None, Field(description="All that failed for good since then.")
    ] = None
    run_uid: Annotated[str | None, Field(description="All events of this run.")] = None


class Redelivered(BaseModel):
    """How many deliveries are on their way again."""

    deliveries: int


class Delivery(BaseModel):
    """An event on its way to an endpoint."""

    id: str
    endpoint_id: str
    event_id: str
    type: str
    run_uid: str | None
    state: Annotated[
        Literal["pending", "delivered", "failed"],
        Field(description="`failed`: all tries are used up; it stays until it is redelivered."),
    ]
    next_try_at: Timestamp | None
    tries: int
    last_status: int | None
    last_problem: str | None
    created_at: Timestamp
    finished_at: Timestamp | None


class Attempt(BaseModel):
    """One try."""

    number: int
    at: Timestamp
    took_ms: int
    status: Annotated[int | None, Field(description="HTTP, SMTP, or a command's exit code.")]
    problem: str | None
    answer: Annotated[str, Field(description="The beginning of what the receiver said.")]


class DeliveryDetail(Delivery):
    """A delivery with every try."""

    attempts: list[Attempt]


class EventPage(BaseModel):
    """A page of events."""

    data: list[Event]
    next_cursor: str | None


class EndpointPage(BaseModel):
    """All endpoints."""

    data: list[Endpoint]
    next_cursor: str | None


class DeliveryPage(BaseModel):
    """A page of deliveries."""

    data: list[Delivery]
    next_cursor: str | None
