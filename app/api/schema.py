"""The API's answers as types: what /openapi.json says of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class CallbackAnswer(BaseModel):
    """A callback was taken, and is durable."""

    status: Literal["stored", "duplicate", "conflict"]
    callback_ref_uid: str | None
    run_uid: str


class QuarantineAnswer(BaseModel):
    """A body was kept that is no callback we know."""

    status: Literal["quarantined"]
    quarantine_id: str
    detail: str


class Counts(BaseModel):
    """What a run amounts to so far."""

    callbacks: Annotated[int, Field(description="Distinct callbacks.")]
    duplicates: Annotated[int, Field(description="Repeats that were not counted again.")]
    conflicts: Annotated[int, Field(description="Other bodies under a known id, kept aside.")]
    results: int
    expected_results: Annotated[int | None, Field(description="What Edges reports, once asked.")]
    inputs: Annotated[int, Field(description="Inputs that callbacks showed.")]
    inputs_succeeded: int
    inputs_failed: int
    inputs_pending: int


class EdgesCallback(BaseModel):
    """What Edges records of a callback that it could not deliver."""

    callback_uid: str
    batch_uid: str | None
    http_status: int | None
    error: str | None
    created_at: Timestamp | None
    replays_asked: int


class ShortInput(BaseModel):
    """An input that fewer results came for than Edges counts."""

    input_uid: str | None
    results: Annotated[int, Field(description="How many fewer.")]


class Missing(BaseModel):
    """What is known to be missing of a run."""

    results: int
    inputs: Annotated[int, Field(description="Inputs of which no end is known.")]
    surplus_results: Annotated[
        int | None, Field(description="Results beyond what Edges reports; left out if none.")
    ] = None
    callbacks: Annotated[
        list[EdgesCallback], Field(description="Of one run: those that Edges could not deliver.")
    ]
    short_inputs: Annotated[list[ShortInput] | None, Field(description="Of one run.")] = None


class Cause(BaseModel):
    """Why callbacks failed, as Edges records it."""

    http_status: int | None
    error: str | None
    callbacks: int
    first_at: Timestamp | None
    last_at: Timestamp | None


class Losses(BaseModel):
    """What had to be recovered, since no callback brought it by itself."""

    results: int
    inputs: int
    callbacks: Annotated[int, Field(description="Those that Edges records as failed.")]
    causes: Annotated[list[Cause] | None, Field(description="Of one run.")] = None
    are_said_to_be_delivered: Annotated[
        bool | None,
        Field(description="Of one run: Edges records no failure of some that never came."),
    ] = None


class Reconciliation(BaseModel):
    """How far the comparison of a run with Edges is."""

    checked_at: Annotated[Timestamp | None, Field(description="When Edges was last asked.")]
    next_at: Annotated[Timestamp | None, Field(description="When it is asked again.")]
    is_over: Annotated[bool, Field(description="Whether what was last asked for is done.")]
    problem: Annotated[str | None, Field(description="Why Edges could not be asked.")]
    generations: Annotated[int, Field(description="One, and one more with each continuation.")]
    output_count_is: Annotated[
        Literal["cumulative", "reset"] | None,
        Field(description="How Edges counts a continued run, as the data show it."),
    ]


class Asked(BaseModel):
    """It is asked for, and durably so."""

    status: Literal["asked"]
    run_uid: str
    asked_at: Annotated[Timestamp, Field(description="Done when `checked_at` of the run is later.")]


class Run(BaseModel):
    """A run."""

    run_uid: str
    action_name: str | None
    execution_mode: str | None
    scheduled_run_uid: str | None
    status: str
    completeness: Literal["open", "unverified", "complete", "incomplete"]
    counts: Counts
    missing: Missing | None
    reconciliation: Annotated[
        Reconciliation | None,
        Field(description="Of one run; null without a key of the Edges API."),
    ] = None
    losses: Annotated[Losses | None, Field(description="null until Edges was asked.")]
    first_received_at: Timestamp
    last_received_at: Timestamp
    finished_at: Timestamp | None
    reconciled_at: Timestamp | None
    last_error: dict[str, Any] | None


class Result(BaseModel):
    """A result with where it comes from; without what `fields` and `omit` leave out."""

    model_config = ConfigDict(
        json_schema_extra={"required": ["source", "callback_ref_uid", "batch_uid"]}
    )

    run_uid: str
    result_id: str
    source: Literal["callback", "outputs"]
    callback_ref_uid: str | None
    batch_uid: str | None
    input: Any
    custom_data: Any
    received_at: Timestamp
    data: Any


class Error(BaseModel):
    """An error of Edges in the collector's one shape."""

    label: str
    message: Any
    scope: Any
    status_code: Any
    error_ref: Any
    params: Any
    retryable: bool


class Input(BaseModel):
    """An input of a run."""

    run_uid: str
    input_uid: str
    input: Any
    custom_data: Any
    status: str
    error: Error | None
    result_count: int
    started_at: Timestamp | None
    finished_at: Timestamp | None


class Callback(BaseModel):
    """A line of a run's log."""

    seq: int
    callback_ref_uid: str | None
    callback_key: str
    batch_uid: str | None
    status: str | None
    results: int
    role: Annotated[
        Literal["counted", "replay", "conflict"],
        Field(description="A replay or a losing conflict adds no results."),
    ]
    conflicts_with: int | None
    received_at: Timestamp
    body_bytes: int
    note: str | None


class Quarantined(BaseModel):
    """An entry of the quarantine."""

    quarantine_id: str
    reason: str
    detail: str
    content_type: str
    body_bytes: int
    times_seen: int
    received_at: Timestamp
    last_received_at: Timestamp


class Schedule(BaseModel):
    """A schedule, as Edges last told it."""

    scheduled_run_uid: str
    name: str | None
    action_name: str | None
    status: Annotated[
        str,
        Field(
            description="Edges' own; `DELETED` if Edges does not know it any more, `UNKNOWN` if it"
            " told none."
        ),
    ]
    cron: str | None
    cron_in_words: str | None
    timezone: str
    schedule_at: Timestamp | None
    next_run_at: Timestamp | None
    inactive_since: Annotated[
        Timestamp | None, Field(description="Since when it is known not to be `ACTIVE`.")
    ]
    created_at: Timestamp | None
    updated_at: Timestamp | None
    first_seen_at: Timestamp
    told_at: Annotated[Timestamp, Field(description="When Edges last told of it.")]
    problem: Annotated[str | None, Field(description="Why its timetable cannot be read.")]


class Moment(BaseModel):
    """A time at which a schedule is due."""

    due_at: Timestamp
    due_at_local: Annotated[
        Timestamp, Field(description="The same, by the clocks of the schedule's time zone.")
    ]


class Iteration(Moment):
    """A time at which a schedule was due, and what became of it."""

    state: Annotated[
        Literal["ran", "pending", "skipped", "missed", "unheard"],
        Field(
            description="`ran`: its run is known; `pending`: not judged yet; `skipped`: the run"
            " before it still went on; `missed`: there was no run in time; `unheard`: Edges has"
            " a run of which no callback came."
        ),
    ]
    run_uid: str | None
    skipped_behind: Annotated[str | None, Field(description="The run that still went on.")]
    missed_noted_at: Annotated[
        Timestamp | None,
        Field(description="When it was told to be missed; its run may have come since."),
    ]


class ScheduleDetail(Schedule):
    """A schedule with its iterations."""

    next: Annotated[list[Moment], Field(description="The next ones, if it stays as it is.")]
    iterations: Annotated[list[Iteration], Field(description="The last ones, newest first.")]
    runs: Annotated[list[Run], Field(description="The last fifty that it produced, newest first.")]
    record: Annotated[dict[str, Any], Field(description="All that Edges said of it.")]


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


class Check(BaseModel):
    """One reason to be ready, or not."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    status: Literal["ready", "not ready"]
    checks: dict[str, Check]


class ErasureProgress(BaseModel):
    """Where an erasure stands."""

    step: Annotated[str, Field(description="What is being done; `done` at the end.")]
    done: Annotated[int | None, Field(description="How far this step is, where it can be told.")]
    of: Annotated[int | None, Field(description="How far it goes.")]


class ErasureCounts(BaseModel):
    """What an erasure has taken away so far."""

    runs: int
    callbacks: Annotated[int, Field(description="Bodies that were changed, or dropped.")]
    results: Annotated[int, Field(description="Of a person, as they stood in these bodies.")]
    inputs: int
    events: int
    quarantined: int
    schedules: int


class Erasure(BaseModel):
    """A run or a person that was erased, or is being erased; kept as a record of it."""

    erasure_id: str
    kind: Annotated[
        Literal["person", "run", "expiry"],
        Field(description="`expiry`: a run whose time was over."),
    ]
    status: Literal["pending", "done"]
    run_uid: str | None
    field: Annotated[str | None, Field(description="By which a person was named.")]
    value_digest: Annotated[
        str | None, Field(description="Of the field and its value, under a secret key.")
    ]
    requested_by: str
    requested_at: Timestamp
    finished_at: Timestamp | None
    is_kept_out: Annotated[bool, Field(description="Whether nothing of it comes in again.")]
    lifted_by: str | None
    lifted_at: Timestamp | None
    progress: ErasureProgress
    counts: ErasureCounts


class ErasurePage(BaseModel):
    """A page of erasures."""

    data: list[Erasure]
    next_cursor: str | None


class RunPage(BaseModel):
    """A page of runs."""

    data: list[Run]
    next_cursor: str | None


class ResultPage(BaseModel):
    """A page of results."""

    data: list[Result]
    next_cursor: str | None


class ResultColumn(BaseModel):
    """A column of the flat formats."""

    name: str
    type: Annotated[
        str,
        Field(
            description="`text`, `boolean`, `integer` (64 bits), `real`, `time`, `list<…>` or"
            " `struct<…>`. What is mixed is `text`."
        ),
    ]
    fill_rate: Annotated[
        float | None,
        Field(description="The share of results in the sample that have it; null without any."),
    ]
    examples: Annotated[
        list[Any], Field(description="Some of its values; lists and objects as JSON text.")
    ]


class ResultSample(BaseModel):
    """The results that were looked at, evenly spread."""

    results: int
    is_whole: Annotated[bool, Field(description="Whether that was all of them.")]


class ResultSchema(BaseModel):
    """What results look like."""

    columns: Annotated[list[ResultColumn], Field(description="In the order of the files.")]
    sample: ResultSample
    json_schema: Annotated[
        dict[str, Any], Field(description="JSON Schema (2020-12) of a result's record.")
    ]


class InputsByResults(BaseModel):
    """Inputs with so many results, or from so many up `to` so many."""

    results: int
    to: int
    inputs: int


class Interval(BaseModel):
    """What came from then on, for `interval_s` seconds."""

    since: Annotated[Timestamp, Field(alias="from")]
    callbacks: int
    results: Annotated[int, Field(description="Those that count.")]


class OverTime(BaseModel):
    """A run by intervals; those in which nothing came are left out."""

    interval_s: int
    intervals: list[Interval]


class RunSummary(BaseModel):
    """A run in figures."""

    run_uid: str
    inputs_by_status: dict[str, int]
    inputs_by_error: Annotated[dict[str, int], Field(description="By label, most frequent first.")]
    inputs_by_results: list[InputsByResults]
    over_time: OverTime
    columns: Annotated[
        list[ResultColumn] | None, Field(description="Left out with `columns=false`.")
    ] = None
    sample: Annotated[ResultSample | None, Field(description="Left out with `columns=false`.")] = (
        None
    )


class InputPage(BaseModel):
    """A page of inputs."""

    data: list[Input]
    next_cursor: str | None


class CallbackPage(BaseModel):
    """A page of callbacks."""

    data: list[Callback]
    next_cursor: str | None


class SchedulePage(BaseModel):
    """A page of schedules."""

    data: list[Schedule]
    next_cursor: str | None


class QuarantinePage(BaseModel):
    """A page of the quarantine."""

    data: list[Quarantined]
    next_cursor: str | None
