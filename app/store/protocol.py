"""What the service asks of a store. Two implement it, and one suite of tests runs against both."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from app.model import Arrival, Logged, Outcome, Quarantined, RunId
from app.store.rows import CallbackRow, Changes, Claim, InputRow, Known, Portion
from app.store.views import (
    CallbackView,
    CountedCallback,
    InputFilter,
    InputView,
    Lag,
    QuarantineView,
    ResultFilter,
    ResultPosition,
    RunFilter,
    RunView,
)


class StoreError(Exception):
    """Base of what a store raises. The message says what happened, where, and what to do."""


class StoreUnavailableError(StoreError):
    """The store cannot answer now."""


class LogUnavailableError(StoreUnavailableError):
    """The log cannot take more now; nothing of the batch was acknowledged."""


class NoLogError(StoreError):
    """There is no log where the settings say that it is."""


class SchemaError(StoreError):
    """The database's schema is not one that this version can work with."""


class Reader(Protocol):
    """Reads for the API and the exports. Everything raises StoreUnavailableError."""

    async def runs(
        self, chosen: RunFilter, *, sort: str, after: tuple[int, str] | None, limit: int
    ) -> list[RunView]:
        """Runs in the order of `sort` (one of `RUN_SORTS`), after a (time in ms, run uid)."""

    async def run(self, run_uid: str) -> RunView | None:
        """One run, None if no callback of it was projected."""

    async def runs_in_export_order(
        self, chosen: RunFilter, *, after_uid: str | None, limit: int
    ) -> list[RunView]:
        """Runs by their uid: the order of merged exports, which no arrival changes."""

    async def fields(self, run_uids: Sequence[str]) -> dict[str, list[str]]:
        """The sorted field names of these runs by section: `data`, `custom_data`, `input`."""

    async def counted_callbacks(
        self,
        run_uid: str,
        chosen: ResultFilter,
        *,
        before_seq: int,
        after: ResultPosition,
        limit: int,
        bytes_max: int,
    ) -> list[CountedCallback]:
        """Callbacks whose results counted before `before_seq`, in export order, bodies included.

        From the callback of `after` on (itself included when `after.place` >= 0), at most
        `limit`, and about `bytes_max` of bodies, at least one if any is left.
        """

    async def inputs(
        self, run_uid: str, chosen: InputFilter, *, after: bytes, limit: int
    ) -> list[InputView]:
        """Inputs in export order, after an input key (b"" for the start)."""

    async def callbacks(self, run_uid: str, *, after_seq: int, limit: int) -> list[CallbackView]:
        """The log of a run in order of arrival."""

    async def raw(self, run_uid: str, seq: int) -> bytes:
        """The body of a callback exactly as received. Raises KeyError if the log has none there."""

    async def quarantined(self, *, after: str, limit: int) -> list[QuarantineView]:
        """Entries of the quarantine, oldest first, after an id ("" for the start)."""

    async def quarantined_entry(self, quarantine_id: str) -> tuple[QuarantineView, bytes] | None:
        """An entry and its body, None if there is none by that id."""

    async def quarantine_size(self) -> int:
        """How many entries the quarantine has."""

    async def lag(self, now_ms: int) -> Lag:
        """How far the projection is behind, at the Unix time `now_ms`."""


class Store(Protocol):
    """The database as the service holds it: one that writes the log, and many that read."""

    @property
    def reader(self) -> Reader:
        """For the API and the exports."""

    @property
    def description(self) -> str:
        """The database and its version, for people."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date. Raises StoreError or OSError."""

    async def close(self) -> None:
        """Let go of everything. What was appended is durable already."""

    async def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Make `arrivals` durable; one outcome for each, in order.

        Raises LogUnavailableError if the store cannot take them.
        """

    async def after_commit(self) -> None:
        """What is due once those who waited for a commit are told: upkeep, and wake-ups."""

    async def quarantine(self, item: Quarantined) -> str:
        """Keep a body that was not understood, durably; the id under which it is kept.

        The same body again keeps its first id and counts up. Raises LogUnavailableError.
        """

    async def release(self, quarantine_id: str) -> bool:
        """Drop an entry of the quarantine; False if there is none by that id."""

    async def seqs(self, run_uid: str, key: str) -> list[int]:
        """Where the log has the callback of this key, then its conflicts; [] if nowhere."""

    async def sizes(self) -> Mapping[str, int]:
        """Bytes on disk by part of the database."""


class LogReader(Protocol):
    """The log as the worker reads it. Synchronous: the worker is a process of its own."""

    def read(self, claim: Claim, *, callbacks_max: int, bytes_max: int) -> Portion:
        """The first callbacks of a claim; about so many, at least one if there is one."""

    def callback(self, run: RunId, seq: int) -> Logged:
        """One callback. Raises LookupError if the log has none there."""

    def size(self) -> int:
        """About how many callbacks the log holds."""


class Projection(Protocol):
    """What the worker derives, and how far it is. Synchronous, as the log's reader."""

    def claim(self) -> Claim | None:
        """What to project next; None if there is nothing, or others have it."""

    def load(
        self,
        run: RunId,
        input_keys: Collection[bytes],
        contents: Collection[tuple[bytes, bytes]],
    ) -> Known:
        """What is stored of a run that callbacks with these inputs and contents may touch.

        `contents` are (input key, content) each: a content belongs to one input.
        """

    def with_content(self, run: RunId, input_no: int, content: bytes) -> list[CallbackRow]:
        """The callbacks of one input of a run with this content."""

    def family(self, run: RunId, first_seq: int) -> list[CallbackRow]:
        """A callback and those that conflict with it."""

    def input(self, run: RunId, input_no: int) -> InputRow:
        """One input of a run. Raises LookupError if there is none of this number."""

    def save(self, changes: Sequence[Changes], claim: Claim, next_seq: int) -> bool:
        """Write it all with the progress to `next_seq`, in one transaction.

        False, and nothing written, if the claim does not hold any more.
        """
