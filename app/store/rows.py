"""What is derived of a run, as rows that the projection changes and a store keeps."""

from dataclasses import dataclass, field
from typing import NamedTuple

from app.canonical import Json
from app.model import Logged, RunId

NO_INPUT = b""
"""The input key of callbacks that name neither an input nor custom_data."""


class Claim(NamedTuple):
    """Callbacks of the log that one worker projects, and no other meanwhile."""

    run: RunId | None
    """Of this run; None: of all runs, in order of arrival."""
    from_seq: int
    before_seq: int | None = None
    """Where the run's log ended when it was claimed; None: wherever it ends."""


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
    last_received_ms: int = 0


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
    by_content: dict[bytes, list[CallbackRow]]


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
    fields: set[tuple[str, str]] = field(default_factory=set)
    """(section, field name); the section is `data`, `custom_data` or `input`."""


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
