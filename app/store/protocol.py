"""What the service asks of a store. Two implement it, and one suite of tests runs against both."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.model import Arrival, Logged, Outcome, Quarantined, RunId
from app.store.api_keys import ApiKeys
from app.store.export_jobs import ExportJobs
from app.store.outbox import Outbox
from app.store.reader import Reader
from app.store.rows import (
    CallbackRow,
    Changes,
    Claim,
    EdgesCallbackRow,
    InputRow,
    OutputPage,
    Portion,
    RunRow,
    ScheduleRow,
)

if TYPE_CHECKING:
    from app.store.erasures import Erasures


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


class Marks(NamedTuple):
    """Which marks there are; see `Store.mark`."""

    oldest: int
    """Of those before it nothing is known any more."""
    latest: int


class Store(Protocol):
    """The database as the service holds it: one that writes the log, and many that read."""

    @property
    def reader(self) -> Reader:
        """For the API and the exports."""

    @property
    def outbox(self) -> Outbox:
        """Events, and deliveries on their way."""

    @property
    def exports(self) -> ExportJobs:
        """Files that were asked for."""

    @property
    def api_keys(self) -> ApiKeys:
        """By which requests are let in."""

    @property
    def erasures(self) -> "Erasures":
        """What was erased, and is being erased."""

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

    async def mark(self) -> Marks:
        """A number for all that is projected now: what `Reader.changed` goes by.

        It falls only while the projection is rebuilt. Raises StoreUnavailableError.
        """

    async def save_schedules(self, rows: Sequence[ScheduleRow]) -> list[str]:
        """Keep what Edges said of schedules, all in one transaction; the uids that were kept.

        What is not the successor of what is known, since another was quicker, is left out.
        Raises LogUnavailableError.
        """

    async def judge_schedule(
        self, uid: str, missed: Sequence[int], *, from_ms: int, judged_ms: int, now_ms: int
    ) -> bool:
        """Note that a schedule is judged up to `judged_ms`, and what it missed on the way.

        `missed` are times at which it was due, in ms. All of it in one transaction. False,
        and nothing noted, unless it was judged up to `from_ms` until now: whoever gets True
        is the only one, and may tell others. Raises LogUnavailableError.
        """

    async def take_turn(self, name: str, every_s: float) -> bool:
        """Whether it is on the caller to do now what is to be done every so often.

        Only one caller of all replicas gets True within `every_s` seconds. Raises
        LogUnavailableError.
        """


class LogReader(Protocol):
    """The log as the worker reads it. Synchronous: the worker is a process of its own."""

    def read(self, claim: Claim, *, callbacks_max: int, bytes_max: int) -> Portion:
        """The first callbacks of a claim; about so many, at least one if there is one."""

    def callback(self, run: RunId, seq: int) -> Logged:
        """One callback. Raises LookupError if the log has none there."""

    def size(self) -> int:
        """About how many callbacks the log holds."""

    def duplicates(self, run: RunId) -> int:
        """How many repeats of a run's callbacks came."""


class Rework(Protocol):
    """What a worker does for erasures: runs of which bodies changed are derived anew."""

    def next(self) -> AbstractContextManager["Projection | None"]:
        """A run to be derived anew, by projecting all that this gives; None if there is none.

        It takes effect as a whole when the block ends: until then readers see what was.
        """


class Projection(Protocol):
    """What the worker derives, and how far it is. Synchronous, as the log's reader."""

    def claim(self) -> Claim | None:
        """What to project next; None if there is nothing, or others have it."""

    def run(self, run: RunId) -> RunRow:
        """What is known of a run; an empty row if nothing is."""

    def inputs(self, run: RunId, input_keys: Collection[bytes]) -> Iterable[InputRow]:
        """Those of these inputs of a run that are known."""

    def aliased(self, run: RunId, alias_keys: Collection[bytes]) -> Iterable[InputRow]:
        """The inputs of a run with one of these alias keys."""

    def edges_callbacks(self, run: RunId, uids: Sequence[str]) -> Iterable[EdgesCallbackRow]:
        """Those of these records of Edges' callbacks that are known."""

    def with_keys(self, run: RunId, keys: Sequence[str]) -> Iterable[CallbackRow]:
        """The callbacks of a run with one of these keys; reads all of the run's."""

    def output_pages(self, run: RunId, *, counted_only: bool) -> Iterable[OutputPage]:
        """The pages of `/outputs` of a run; or only those of which any result counts."""

    def with_contents(
        self, run: RunId, wanted: Sequence[tuple[int, bytes]]
    ) -> Iterable[CallbackRow]:
        """The callbacks of a run with one of these (input number, content) pairs."""

    def family(self, run: RunId, first_seq: int) -> list[CallbackRow]:
        """A callback and those that conflict with it."""

    def input(self, run: RunId, input_no: int) -> InputRow:
        """One input of a run. Raises LookupError if there is none of this number."""

    def save(self, changes: Sequence[Changes], claim: Claim, next_seq: int) -> bool:
        """Write it all with the progress to `next_seq`, in one transaction.

        False, and nothing written, if the claim does not hold any more.
        """
