"""Standing sinks as types: what /openapi.json says of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.api.schema import Timestamp
from app.sinks.standing import SinkConfig


class NewSink(SinkConfig):
    """A sink to be made."""

    to: Annotated[
        str,
        Field(
            max_length=2048,
            description="`postgresql://USER:PASSWORD@HOST/DATABASE#table`, `s3://bucket/prefix/`,"
            " or below the folder of COLLECTOR_SINK_DIR a `folder/`, `sqlite:///PATH#table` or"
            " `duckdb:///PATH#table`. Kept encrypted; its password is never shown again.",
        ),
    ]
    state: Literal["active", "paused"] = "active"
    backfill: Annotated[
        bool, Field(description="Also write the runs that had ended before the sink was made.")
    ] = False


class SinkChange(BaseModel):
    """What is to change of a sink: any part of it."""

    to: str | None = None
    state: Literal["active", "paused"] | None = None
    backfill: Annotated[bool, Field(description="Write all runs that have ended.")] = False


class SinkRunCounts(BaseModel):
    """How many runs there are by state."""

    pending: int
    done: int
    failed: int


class Sink(SinkConfig):
    """Where the results of runs go by themselves."""

    id: str
    state: Literal["active", "paused"]
    to: Annotated[
        str | None,
        Field(description="Without its password. None if it was sealed with a key that is gone."),
    ]
    is_backfilling: bool
    runs: SinkRunCounts
    created_at: Timestamp
    updated_at: Timestamp


class SinkPage(BaseModel):
    """All sinks."""

    data: list[Sink]
    next_cursor: str | None


class SinkRun(BaseModel):
    """A run in a sink, and what became of it last."""

    run_uid: str
    state: Annotated[
        Literal["pending", "done", "failed"],
        Field(description="`failed`: all tries are used up; it stays until it is written again."),
    ]
    next_try_at: Timestamp | None
    failed_tries: Annotated[int, Field(description="Since it was last to be written.")]
    last_problem: str | None
    version: Annotated[str | None, Field(description="Of what is there: changes as results do.")]
    rows: int | None
    took_ms: int | None
    notes: Annotated[
        list[str], Field(description="What to know: of columns that became wider, for example.")
    ]
    written_at: Timestamp | None
    changed_at: Timestamp


class SinkRunPage(BaseModel):
    """Runs of a sink, what changed last first."""

    data: list[SinkRun]
    next_cursor: str | None


class SinkTest(BaseModel):
    """Whether a sink can be written to."""

    is_reachable: bool
    problem: str | None
    took_ms: int
