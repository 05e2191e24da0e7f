"""What readers get from a store: rows as the API and the exports need them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from app.kinds import WITHIN, Kinds, Path, read_path
from app.told import Told, ToldInput

RUN_SORTS = ("created", "-created", "updated", "-updated")
"""Orders of a list of runs: by the first or the last callback of each; - for newest first."""

SECTIONS = ("data", "custom_data", "input")
"""The parts of results and inputs that have fields."""

CustomFilter = tuple[str, str]
"""A path in custom_data, and the value that is to stand there."""


class Fields(NamedTuple):
    """The fields of runs and what they have held, by section: `data`, `custom_data`, `input`."""

    kinds: dict[str, dict[str, Kinds]]
    """By field name, sorted."""
    within: dict[str, dict[Path, Kinds]]
    """What has been in lists."""

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, int]]) -> "Fields":
        """From (section, name, kinds); the same field may come several times."""
        fields = cls({section: {} for section in SECTIONS}, {section: {} for section in SECTIONS})
        for section, name, kinds in sorted(rows):
            if section in SECTIONS:
                held = fields.kinds[section]
                held[name] = held.get(name, Kinds(0)) | kinds
            elif section.endswith(WITHIN):
                inner, path = fields.within[section.removesuffix(WITHIN)], read_path(name)
                inner[path] = inner.get(path, Kinds(0)) | kinds
        return fields


class CountedPage(NamedTuple):
    """A page of `/outputs` of which some results count."""

    walk_uid: str
    page: int
    seq: int
    received_ms: int
    counted: bytes
    """A bit for each result, the first one lowest."""


class Since(NamedTuple):
    """From where on a run's results are new to a reader; see `app.export.delta`."""

    seq: int | None
    """Those that counted before it were delivered; None: none were."""
    first_seq: int
    """Before it was delivered what counted then; since then, all that ever counted."""
    was_reset: bool = False
    """Whether lists of outputs were known to begin anew with each generation, back then."""
    is_reset: bool = False
    """Whether they are now."""
    has_conflicts: bool = False
    walks: tuple[tuple[str, int], ...] = ()
    """Complete walks over `/outputs`, and the generation that each fell into."""


class RunSnapshot(NamedTuple):
    """A run as an export sees it, whatever comes meanwhile."""

    run_uid: str
    before_seq: int
    """Its callbacks from here on are left out."""
    order_no: int = 0
    """Rises when the order of its inputs changes: then an export must begin anew."""
    stretches: tuple[bytes, ...] = (b"\x01",)
    """`PLACED` or `UNPLACED` or both: which kinds of inputs it has."""
    counted_pages: tuple[CountedPage, ...] = ()
    """In the order of `/outputs`."""
    is_respelled: bool = True
    """Whether its bodies may be kept in another spelling, had they come in another order."""
    action_name: str | None = None
    results: int = 0
    """About how many it has, filters aside."""
    since: Since | None = None
    """Of a delta: then results come in the order of arrival."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, as it stands."""

    run_uid: str
    status: str
    completeness: str
    action_name: str | None
    execution_mode: str | None
    scheduled_run_uid: str | None
    callbacks: int
    duplicates: int
    conflicts: int
    results: int
    inputs: int
    inputs_succeeded: int
    inputs_failed: int
    first_received_ms: int
    last_received_ms: int
    finished_ms: int | None
    terminal_ms: int
    """When the latest callback with a terminal status came; 0 if none did."""
    expected_results: int | None
    missing: str | None
    """What is missing in numbers, as JSON."""
    lost_results: int
    """Results that no callback brought by itself."""
    lost_inputs: int
    verified_ms: int | None
    is_respelled: bool
    """Whether a callback came again with other bytes."""
    told: Told | None
    next_seq: int
    """The first seq of its log that is not projected."""

    @property
    def order_no(self) -> int:
        """Rises when the order of its inputs changes."""
        return self.told.order_no if self.told else 0

    @property
    def outputs_no(self) -> int:
        """Rises when other results of `/outputs` count."""
        return self.told.outputs_no if self.told else 0

    @property
    def snapshot(self) -> RunSnapshot:
        """What an export that begins now has of it, but for results of `/outputs`."""
        stretches = [PLACED] if self.order_no else []
        if self.told is None or not self.order_no or self.told.inputs < self.inputs:
            stretches.append(UNPLACED)
        return RunSnapshot(
            self.run_uid,
            self.next_seq,
            self.order_no,
            tuple(stretches),
            is_respelled=bool(self.is_respelled),
            action_name=self.action_name,
            results=self.results,
        )


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; None means any."""

    run_uids: tuple[str, ...] = ()
    status: str | None = None
    completeness: str | None = None
    action_name: str | None = None
    scheduled_run_uid: str | None = None
    search: str | None = None
    """Part of a run uid, or a whole value of some custom_data."""
    created_after_ms: int | None = None
    custom: tuple[CustomFilter, ...] = ()
    """Only runs with an input whose custom_data holds all of these."""


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Which results of a run; None means any."""

    input_key: bytes | None = None
    custom: tuple[CustomFilter, ...] = ()
    received_after_ms: int | None = None
    received_before_ms: int | None = None

    @property
    def is_by_time(self) -> bool:
        """Whether it depends on when results came."""
        return self.received_after_ms is not None or self.received_before_ms is not None

    def takes_time(self, received_ms: int) -> bool:
        """Whether it takes what came then."""
        after, before = self.received_after_ms, self.received_before_ms
        return (after is None or received_ms > after) and (before is None or received_ms < before)

    @property
    def names_inputs(self) -> bool:
        """Whether only results are chosen of which the input is known."""
        return self.input_key is not None or bool(self.custom)


class DigestRow(NamedTuple):
    """A callback with results, as far as it matters for which of them are new."""

    seq: int
    first_seq: int
    """Of those with the same id, the first one's."""
    content: bytes | None
    lost_to: int | None
    digests: bytes
    came_before: bool
    """Whether something with the same content had counted before."""


class PageDigests(NamedTuple):
    """A page of `/outputs`."""

    walk_uid: str
    page: int
    seq: int
    received_ms: int
    digests: bytes


class Window(NamedTuple):
    """What a reader of deltas has seen of a run's log, and what it is to see now."""

    first_seq: int
    """Where its first load ended; 1 if the run was not there yet."""
    after_seq: int
    """Where its last one did."""
    before_seq: int


PLACED, UNPLACED, OUTPUTS = b"\x00", b"\x01", b"\x02"
"""How an order key begins: inputs in Edges' order, then others, then results of no callback."""


def placed_key(place: int, input_key: bytes) -> bytes:
    """The order key of an input whose place in Edges' list is known."""
    return PLACED + place.to_bytes(8, "big") + input_key


def unplaced_key(input_key: bytes) -> bytes:
    """The order key of another input."""
    return UNPLACED + input_key


def page_key(page: CountedPage) -> bytes:
    """The order key of a page of `/outputs`."""
    return OUTPUTS + page.walk_uid.encode() + b"\0" + page.page.to_bytes(4, "big")


class ResultPosition(NamedTuple):
    """A place in the order of results: by input, by callback, by place within the callback."""

    order_key: bytes
    """See `placed_key` and its like; empty for callbacks of no input."""
    callback_key: str
    place: int


START = ResultPosition(b"", "", -1)


@dataclass(frozen=True, slots=True)
class CountedCallback:
    """A callback whose results count, with its body."""

    seq: int
    callback_key: str
    order_key: bytes
    """Where its input stands; see `ResultPosition`."""
    content: bytes
    """What it shares with its replays, if any."""
    batch_uid: str | None
    received_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class InputView:
    """An input of a run; `input`, `custom_data` and `error` are JSON text."""

    input_no: int
    input_key: bytes
    input: str
    custom_data: str
    status: str
    error: str | None
    results: int
    first_received_ms: int
    last_received_ms: int
    input_uid: str | None
    told: ToldInput | None
    order_key: bytes


@dataclass(frozen=True, slots=True)
class InputFilter:
    """Which inputs of a run; None means any."""

    input_key: bytes | None = None
    statuses: tuple[str, ...] = ()
    error_label: str | None = None
    custom: tuple[CustomFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class CallbackView:
    """A line of a run's log."""

    seq: int
    callback_key: str
    batch_uid: str | None
    status: str | None
    results: int
    is_winner: bool
    lost_to: int | None
    conflicts_with: int | None
    received_ms: int
    body_bytes: int
    note: str | None


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """An entry of the quarantine, without its body."""

    quarantine_id: str
    received_ms: int
    last_received_ms: int
    times_seen: int
    reason: str
    detail: str
    content_type: str
    body_bytes: int


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule, as Edges last told it."""

    uid: str
    status: str
    action_name: str | None
    record: str
    """What it said, as JSON."""
    phases: str
    """What it said over time, as JSON; see `app.reconcile.schedule_record`."""
    first_seen_ms: int
    told_ms: int
    judged_ms: int
    """All that was due until then is judged: it brought a run, or was skipped or missed."""


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which schedules; None means any."""

    status: str | None = None
    action_name: str | None = None


class CallbackShare(NamedTuple):
    """How well the callback channel works."""

    results: int
    by_callback: int
    """Those that a callback brought by itself."""


class Lag(NamedTuple):
    """How far the projection is behind the log."""

    callbacks: int
    age_s: float
    """Age of the oldest callback that is not projected; 0 if all are."""
