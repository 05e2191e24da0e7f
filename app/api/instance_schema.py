"""Answers about the installation itself, as types: what /openapi.json says of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.api.schema import Check, Timestamp


class Ingest(BaseModel):
    """Where callbacks go."""

    url: Annotated[str, Field(description="For `callback.url` of a launch.")]
    header: Annotated[str, Field(description="What stands before the ingest token.")]
    problem: Annotated[str | None, Field(description="Why Edges cannot reach it, as far as known.")]
    edges_base_url: str
    edges_key_is_set: bool


class IngestToken(BaseModel):
    """What callbacks carry."""

    token: str


class Demo(BaseModel):
    """A run of a simulated Edges, whose callbacks come here."""

    is_available: bool
    refusal: Annotated[str | None, Field(description="Why there can be none.")]
    is_going: bool
    run_uid: Annotated[
        str | None, Field(description="Of the last one, since this process started.")
    ]


class RecentCallbacks(BaseModel):
    """How many came lately."""

    span_s: int
    counts: Annotated[list[int], Field(description="In each span, oldest first.")]


class CallbacksHealth(BaseModel):
    """Callbacks since this process started."""

    outcomes: Annotated[
        dict[str, int],
        Field(description="How many were `stored`, `duplicate`, `conflict`, `quarantined`."),
    ]
    recent: RecentCallbacks
    waiting: Annotated[int, Field(description="For the disk.")]


class EdgesHealth(BaseModel):
    """How this process does with the Edges API."""

    key_is_set: bool
    budget_left: Annotated[
        int | None,
        Field(description="Requests that Edges takes in this minute; null until it told."),
    ]
    budget_wait_s: Annotated[float, Field(description="Seconds that requests waited for it.")]


class LagHealth(BaseModel):
    """What is logged and not projected yet."""

    callbacks: int
    age_s: Annotated[float, Field(description="Of the oldest.")]


class DiskHealth(BaseModel):
    """The disk of the data folder."""

    free_bytes: int
    total_bytes: int


class Versions(BaseModel):
    """What runs."""

    collector: str
    python: str
    database: str


class Retention(BaseModel):
    """How long things are kept."""

    run_days: Annotated[float | None, Field(description="Null for ever.")]
    event_days: float
    export_hours: float


class Health(BaseModel):
    """The collector in figures. What only the store can say is null while it does not answer."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Check]
    callbacks: CallbacksHealth
    event_streams: int
    edges: EdgesHealth
    lag: LagHealth | None
    quarantined: int | None
    deliveries_pending: int | None
    database_bytes: Annotated[dict[str, int], Field(description="By part.")]
    disk: DiskHealth
    versions: Versions
    role: Literal["all", "receive", "work"]
    started_at: Timestamp
    uptime_s: int
    retention: Retention
    warnings: Annotated[list[str], Field(description="What to see to, though nothing fails.")]
