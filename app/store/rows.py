"""What is derived of a run, as rows that the projection changes and a store keeps."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from app.canonical import Json
from app.erased import NO_INPUT as NO_INPUT  # noqa: PLC0414 - as of all derived rows
from app.event import Event
from app.kinds import Kinds
from app.model import FAILED_INPUT_STATUSES, Logged, RunId, input_status
from app.told import Told, ToldInput, told_input_error, told_input_status


class Claim(NamedTuple):
    """Callbacks of the log that one worker projects, and no other meanwhile."""

    run: RunId | None
    """Of this run; None: of all runs, in order of arrival."""
    from_seq: int
    before_seq: int | None = None
    """Where the run's log ended when it was claimed; None: wherever it ends."""
    announced_seq: int = 1
    """Before it all events are raised already: what is derived there again raises none."""
    derivation: int = 0
    """Changes when what was derived before was derived anew."""


class Portion(NamedTuple):
    """What was read of a claim."""

    callbacks: list[Logged]
    next_seq: int
    """Where to go on; not beyond what was claimed."""


@dataclass(slots=True)
class RunRow:
    """The state of a run, as far as its callbacks show it."""

    id: RunId
    callbacks: int = 0
    conflicts: int = 0
    results: int = 0
    """Of callbacks that count; those known from `/outputs` alone are `told.from_outputs`."""
    statuses: set[str] = field(default_factory=set)
    action_name: str | None = None
    execution_mode: str | None = None
    scheduled_run_uid: str | None = None
    inputs: int = 0
    inputs_succeeded: int = 0
    inputs_failed: int = 0
    first_received_ms: int = 0
    last_received_ms: int = 0
    finished_ms: int | None = None
    """When the first callback with a terminal status came."""
    terminal_ms: int = 0
    """When the latest one came; 0 if none did."""
    told: Told | None = None
    """What Edges told of it; None as long as it was not asked."""

    @property
    def all_results(self) -> int:
        """Results of callbacks, and those known from `/outputs` alone."""
        return self.results + (self.told.from_outputs if self.told else 0)


@dataclass(slots=True)
class InputRow:
    """One input of a run."""

    input_no: int
    """Its number within the run; 0 stands for no input at all."""
    input_key: bytes
    input: str
    """Canonical JSON, as the `custom_data`."""
    custom_data: str
    statuses: set[str] = field(default_factory=set)
    error: dict[str, Json] | None = None
    results: int = 0
    first_received_ms: int = 0
    """0 as long as no callback of it came, as the next one."""
    last_received_ms: int = 0
    input_uid: str | None = None
    """As Edges names it."""
    alias_key: bytes | None = None
    """The key of callbacks of it that do not name the input, only its custom_data."""
    told: ToldInput | None = None
    failed_as: str | None = None
    """The uid under which it had failed already when it was read, empty if it had none."""

    @property
    def has_newly_failed(self) -> bool:
        """Whether it has failed, and had not when it was read."""
        if not self.has_failed or self.failed_as is None:
            return self.has_failed
        return self.failed_as not in ("", self.input_uid)

    @property
    def has_failed(self) -> bool:
        """Whether it failed by itself; what somebody stopped did not."""
        return self.status in FAILED_INPUT_STATUSES and self.status != "STOPPED"

    @property
    def status(self) -> str:
        """As told by Edges, or shown by callbacks."""
        if self.told is None:
            return input_status(self.statuses)
        return told_input_status(self.statuses, self.last_received_ms, self.told)

    @property
    def shown_error(self) -> dict[str, Json] | None:
        """As told by Edges, or by a callback."""
        return self.error if self.told is None else told_input_error(self.error, self.told)

    @property
    def listed_at(self) -> tuple[int, str]:
        """Where it stands in Edges' list, by place and uid; before all if it was not told of."""
        return (self.told.place if self.told else -1, self.input_uid or "")

    @property
    def short(self) -> int:
        """How many results it has less than Edges told."""
        return 0 if self.told is None else max(0, (self.told.output_count or 0) - self.results)


@dataclass(slots=True)
class CallbackRow:
    """One callback of a run, and whether its results count."""

    seq: int
    key: str
    input_no: int
    batch_uid: str | None
    status: str | None
    content: bytes | None
    results: int
    received_ms: int
    body_bytes: int
    conflicts_with: int | None = None
    is_winner: bool = True
    """False if another body under the same id counts in its place."""
    lost_to: int | None = None
    """`seq` of the callback whose results count in place of this one's; None if these count."""
    note: str | None = None
    digests: bytes = b""
    """16 bytes for each result, in order. Empty in rows that were read back."""


@dataclass(slots=True)
class Known:
    """What a store has of one run that new callbacks of it may touch."""

    run: RunRow
    inputs: dict[bytes, InputRow]
    """By input key."""
    aliased: dict[bytes, InputRow]
    """By alias key; of several the one that Edges lists first."""
    by_content: dict[bytes, list[CallbackRow]]


class OutputPage(NamedTuple):
    """A page of a walk over `/outputs`."""

    walk_uid: str
    page: int
    seq: int
    """Where the log has it."""
    received_ms: int
    digests: bytes
    """16 bytes for each result, in order."""
    counted: bytes | None = None
    """A bit for each result, the first one lowest: whether it counts; None if none does."""


class EdgesCallbackRow(NamedTuple):
    """What Edges records of a callback that it sent, or tried to."""

    uid: str
    parent_uid: str | None
    batch_uid: str | None
    status: str | None
    http_status: int | None
    error: str | None
    created_ms: int | None
    told_ms: int
    replays: int
    """How often it was asked for again."""


class Recounted(NamedTuple):
    """Which results of `/outputs` count beside those of callbacks."""

    counted: dict[tuple[str, int], bytes]
    """By walk uid and page, as `OutputPage.counted`; of pages of which any counts."""


Recount = Callable[[Iterable[OutputPage], Iterable[bytes]], Recounted]
"""Decides it from all pages of a run, in order, and the digests of all callbacks that count."""


@dataclass(slots=True)
class Changes:
    """What new callbacks change in one run."""

    run: RunRow
    inputs: dict[int, InputRow] = field(default_factory=dict)
    """By number."""
    new_inputs: set[int] = field(default_factory=set)
    new_callbacks: list[CallbackRow] = field(default_factory=list)
    changed_callbacks: dict[int, CallbackRow] = field(default_factory=dict)
    custom_values: list[tuple[str, str, int]] = field(default_factory=list)
    """(path, value, input number)."""
    fields: dict[tuple[str, str], Kinds] = field(default_factory=dict)
    """By (section, field name), which kinds of values it has held besides those known before.

    The section is `data`, `custom_data` or `input`; with `app.kinds.WITHIN` after it for what
    is within its lists, by path; or `custom_paths` for what look-ups call a field of
    custom_data, where that is not its name."""
    output_pages: list[OutputPage] = field(default_factory=list)
    edges_callbacks: dict[str, EdgesCallbackRow] = field(default_factory=dict)
    """By uid."""
    recount: Recount | None = None
    """To be called within the transaction, before the run's row is written."""
    are_inputs_placed: bool = False
    """Whether all inputs that were told of have their place now."""
    events: Callable[["Changes"], list[Event]] | None = None
    """What it raises; to be called within the transaction, after all else is decided. It does
    not hold on to this, which would make a cycle of all rows, freed late."""

    events_raised: int = 0

    def raised(self) -> list[Event]:
        """The events that it raises, in order."""
        found = self.events(self) if self.events else []
        self.events_raised = len(found)
        return found


class Due(NamedTuple):
    """Where a run stands in the queue."""

    due_ms: int | None
    """When it is to be taken; None while it is taken, or if nothing is left to do."""
    failures: int
    """Passes in a row that failed."""
    problem: str | None
    """Why the last one did."""


class ScheduleRow(NamedTuple):
    """What Edges said of a schedule, to be kept."""

    uid: str
    status: str
    action_name: str | None
    record: str
    """What it said, as JSON."""
    phases: str
    """What it said over time, as JSON; see `app.reconcile.schedule_record`."""
    told_ms: int
    """When it said so."""
    after_told_ms: int | None
    """`told_ms` of what this takes the place of; None if nothing is known yet."""
