"""What Edges told of a run, put together from its answers in whatever order they came.

Everything here is a minimum, a maximum or a set over the answers, so that the order in
which they are taken in leaves no trace. Times are Unix times in milliseconds.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from app.canonical import Json
from app.model import ENDED_INPUT_STATUSES, Source, input_status

READINGS_KEPT = 300
"""Beyond so many, of equal ones in a row only the first and the last are kept."""

READINGS_MAX = 2_000
"""More than a run gets in 90 days, however often it is asked about."""


class Reading(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A run's status and count of outputs at a time."""

    told_ms: int
    status: str
    output_count: int | None


class Act(msgspec.Struct, frozen=True, order=True, array_like=True):
    """Something that was asked for: of Edges, or (`reconcile`) of us."""

    told_ms: int
    name: str


class Walk(msgspec.Struct):
    """One pass over the pages of a list, as far as they are logged."""

    kind: str
    """`Source.INPUTS`, `OUTPUTS` or `CALLBACKS`."""
    began_ms: int
    """When its first page was asked for."""
    pages: int = 0
    rows: int = 0
    highest: int = -1
    """The number of the last page so far, from 0."""
    next_url: str | None = None
    """Where it goes on behind that page."""
    last: int | None = None
    """The number of the page behind which there is none, once it came."""
    is_cut: bool = False
    """Whether it was ended there although the list goes on."""

    @property
    def is_complete(self) -> bool:
        """Whether every page is here."""
        return self.last is not None and self.pages == self.last + 1

    def add(self, page: int, rows: int, next_url: str | None, *, is_cut: bool) -> None:
        """Take in one page; none is taken in twice."""
        self.is_cut |= is_cut
        self.pages += 1
        self.rows += rows
        if page > self.highest:
            self.highest, self.next_url = page, next_url
        if next_url is None:
            self.last = page


class Told(msgspec.Struct, omit_defaults=True):
    """Everything that Edges told of one run, but for what stands in rows of their own."""

    readings: list[Reading] = msgspec.field(default_factory=list)
    """Oldest first."""
    acts: list[Act] = msgspec.field(default_factory=list)
    walks: dict[str, Walk] = msgspec.field(default_factory=dict)
    """By walk uid; uids rise with the time at which walks began."""
    facts_ms: int = 0
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    """The latest answer's `last_error` (in the collector's shape), `parameters`, and times."""
    inputs: int = 0
    """Inputs that were told of, each once."""
    pending: int = 0
    """Of these, how many have not come to an end."""
    unheard: int = 0
    """Of these, how many came to an end that no callback told."""
    from_outputs: int = 0
    """Results known from `/outputs` alone."""
    replays: dict[str, str] = msgspec.field(default_factory=dict)
    """The original of each callback record that is, or was, to be sent again, itself included."""
    replayed: int = 0
    """Results that came by callbacks sent again because they were asked for."""
    came_again: list[str] = msgspec.field(default_factory=list)
    """The originals of which something came after it was asked for again; each once, sorted."""
    failed_callbacks: int = 0
    """Original callbacks that Edges records as failed."""
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    """How many of these failed for which reason, in words."""
    order_no: int = 0
    """Rises when the order of the inputs changes."""
    outputs_no: int = 0
    """Rises when other results of `/outputs` count than before."""
    is_reset: bool = False
    """Whether `output_count` and `/outputs` begin anew with each continuation."""

    def add_reading(self, reading: Reading) -> None:
        """Take in a status and a count."""
        kept: list[Reading] = []
        found = sorted({*self.readings, reading})
        for one in found:
            if (
                len(found) > READINGS_KEPT
                and len(kept) > 1
                and _says_the_same(kept[-2], kept[-1], one)
            ):
                kept.pop()
            kept.append(one)
        self.readings = kept[-READINGS_MAX:]

    def add_act(self, act: Act) -> None:
        """Take in an act; the same one again adds nothing."""
        self.acts = sorted({*self.acts, act})

    def note_arrival(self, key: str) -> None:
        """Take in that a callback came with this id; it matters if it was asked for again."""
        original = self.replays.get(key)
        if original is not None and original not in self.came_again:
            self.came_again = sorted([*self.came_again, original])

    @property
    def last(self) -> Reading | None:
        """The latest reading."""
        return self.readings[-1] if self.readings else None

    def latest(self, name: str) -> int:
        """When an act was last asked for; 0 if it never was."""
        return max((act.told_ms for act in self.acts if act.name == name), default=0)

    @property
    def is_gone(self) -> bool:
        """Whether Edges, when it was last asked, did not know the run any more."""
        known_ms = self.last.told_ms if self.last else 0
        return self.latest("gone") >= max(known_ms, self.latest("reconcile"), 1)

    def walks_of(self, kind: Source) -> list[tuple[str, Walk]]:
        """Walks over one list, oldest first."""
        return sorted((uid, walk) for uid, walk in self.walks.items() if walk.kind == kind)


def _says_the_same(*readings: Reading) -> bool:
    return len({(one.status, one.output_count) for one in readings}) == 1


class ToldInput(msgspec.Struct, frozen=True, array_like=True):
    """The latest that Edges told of one input."""

    told_ms: int
    place: int
    """Where it stands in the list of the run's inputs."""
    status: str | None
    error: dict[str, Json] | None
    """In the collector's shape."""
    output_count: int | None
    retry_count: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.status in ENDED_INPUT_STATUSES


def told_input_status(statuses: Iterable[str], last_received_ms: int, told: ToldInput) -> str:
    """The status of an input of which callbacks showed `statuses` and Edges told `told`.

    An end that was told is the end. Else whatever is later counts, but for a callback that
    shows no end, which knows less than the list of inputs.
    """
    shown = input_status(statuses) if statuses else None
    if told.has_ended or shown is None:
        return told.status or "CREATED"
    if told.status is None:
        return shown
    is_later = last_received_ms >= told.told_ms
    return shown if is_later and shown in ENDED_INPUT_STATUSES else told.status


def told_input_error(shown: dict[str, Json] | None, told: ToldInput) -> dict[str, Json] | None:
    """The error of an input: as told, completed by what a callback said of the same error."""
    if not told.has_ended:
        return shown or told.error
    if told.error is None or shown is None or shown["label"] != told.error["label"]:
        return told.error
    return {key: shown.get(key) if value is None else value for key, value in told.error.items()}


_told_decoder = msgspec.json.Decoder(Told)
_input_decoder = msgspec.json.Decoder(ToldInput)


def told_json(told: Told | ToldInput) -> str:
    """As a store keeps it."""
    return msgspec.json.encode(told).decode()


def read_told(text: str) -> Told:
    """A `Told` from what a store keeps."""
    return _told_decoder.decode(text)


def read_told_input(text: str) -> ToldInput:
    """A `ToldInput` from what a store keeps."""
    return _input_decoder.decode(text)
