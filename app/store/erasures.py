"""Erasures: asked for, carried out portion by portion, and kept as their own record.

A row is three things at once: the request, how far it is, and, until somebody lifts it, a
tombstone that keeps what was erased from coming in again. It is durable before anything is
erased, and what was begun goes on at the next start.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from secrets import token_hex
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec
import zstandard

from app.erasing import Eraser, Tombstones, value_digest
from app.store import segments
from app.store.outbox import Outbox
from app.store.protocol import StoreError
from app.store.rows import ScheduleRow

EVENTS_AT_ONCE = 500

PERSON, RUN, EXPIRY = "person", "run", "expiry"

SKIPPED = "skipped"
"""The step of an expiry that came too late: the run was heard of again."""

_CONTEXT = "erasures"


class Counts(msgspec.Struct, omit_defaults=True):
    """What an erasure has taken away so far."""

    runs: int = 0
    """Those of which anything went."""
    callbacks: int = 0
    """Entries of the log that were changed, or dropped; answers of Edges among them."""
    results: int = 0
    """Only of people: as they stand in the log, where one may stand several times."""
    inputs: int = 0
    events: int = 0
    quarantined: int = 0
    schedules: int = 0


class Progress(msgspec.Struct, omit_defaults=True):
    """Where an erasure stands."""

    step: str
    """One of the store's steps; the row is finished behind the last one."""
    after: list[str | int] = msgspec.field(default_factory=list)
    """Behind what the step goes on; what that is, the step knows."""
    before: int = 0
    """Where the step ends, if it has to be said."""
    since: int = -1
    """What runs were changed before it; -1 as long as it has changed none."""


class ErasureRow(NamedTuple):
    """An erasure."""

    erasure_id: str
    kind: str
    """`PERSON`, `RUN` or `EXPIRY`, which is of a run too and no tombstone."""
    run_uid: str | None
    field: str | None
    value_digest: str | None
    requested_by: str
    requested_ms: int
    progress: str
    """JSON of `Progress`."""
    counts: str
    """JSON of `Counts`."""
    finished_ms: int | None = None
    lifted_by: str | None = None
    lifted_ms: int | None = None

    @property
    def at(self) -> Progress:
        """Where it stands."""
        return msgspec.json.decode(self.progress, type=Progress)

    @property
    def counted(self) -> Counts:
        """What it has taken away."""
        return msgspec.json.decode(self.counts, type=Counts)

    def moved(self, progress: Progress, counts: Counts | None = None) -> "ErasureRow":
        """The row further on."""
        return self._replace(
            progress=msgspec.json.encode(progress).decode(),
            counts=self.counts if counts is None else msgspec.json.encode(counts).decode(),
        )


COLUMNS = ", ".join(ErasureRow._fields)

Step = Callable[[ErasureRow], Awaitable[ErasureRow]]


class LostKeyError(StoreError):
    """People are to stay erased, and the key by which they are known cannot be had."""


class Sealing(Protocol):
    """What keeps the key of digests secret; see `app.notify.sealing.Seal`."""

    def seal(self, plain: str, context: str) -> str:
        """`plain`, as it may be kept in the database."""

    def open(self, sealed: str, context: str) -> str:
        """What was sealed."""

    def is_current(self, sealed: str) -> bool:
        """Whether it does not need to be sealed anew."""


class Erasures(ABC):
    """What both stores do alike. Everything raises StoreUnavailableError."""

    steps: ClassVar[dict[str, Sequence[str]]]
    """By kind: what is to be done, in order."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._seal: Sealing | None = None
        self._key = b""
        self.tombstones = Tombstones()
        """As last read; the store keeps it up to date with what this process may append."""

    async def use_seal(self, seal: Sealing) -> None:
        """Keep the key of digests sealed with `seal`, and read the tombstones again.

        To be called before anything is appended. Raises LostKeyError if there are tombstones of
        people, and `seal` does not open the key.
        """
        self._seal = seal
        await self.load()
        sealed = await self._sealed_key()
        if sealed is not None and self._key and not seal.is_current(sealed):
            await self._keep_key(seal.seal(self._key.hex(), _CONTEXT), sealed)

    async def digest_of(self, field: str, value: str) -> str:
        """What is kept in place of a person's value."""
        if not self._key:
            if self._seal is None:
                raise LostKeyError("there is no secret to keep the key of digests with")
            sealed = self._seal.seal(token_hex(32), _CONTEXT)
            self._open_key(await self._keep_key(sealed, None))
        return value_digest(self._key, field, value)

    def _open_key(self, sealed: str | None) -> None:
        if sealed is None or self._seal is None:
            return
        try:
            self._key = bytes.fromhex(self._seal.open(sealed, _CONTEXT))
        except Exception as error:
            raise LostKeyError(
                "people were erased, and the key by which they are known cannot be read, so that"
                f" they might come in again: {error}"
            ) from error

    def _tombstones(
        self, version: int, sealed: str | None, rows: Iterable[Sequence[Any]]
    ) -> Tombstones:
        """From (run uid, field, value digest) of each."""
        found = [tuple(row) for row in rows]
        people = [(field, value) for _, field, value in found if field is not None]
        if people:
            self._open_key(sealed)
        runs = [run_uid for run_uid, _, _ in found if run_uid is not None]
        return Tombstones(version, runs, Eraser(self._key, people))

    @abstractmethod
    async def _sealed_key(self) -> str | None:
        """The key under which values are digested, as it was kept; None if there is none yet."""

    @abstractmethod
    async def _keep_key(self, sealed: str, instead_of: str | None) -> str:
        """Keep a key, unless another one than `instead_of` is kept by now; the one that is."""

    @abstractmethod
    async def load(self) -> None:
        """Read the tombstones, for all that is appended from now on."""

    @abstractmethod
    async def add(self, row: ErasureRow) -> None:
        """Keep a new erasure, durably.

        Once it returns, nothing that it forbids is logged any more, by no replica.
        """

    @abstractmethod
    async def rows(self, *, before: str | None, limit: int) -> list[ErasureRow]:
        """Erasures, newest first, those older than the one with the id `before`."""

    @abstractmethod
    async def row(self, erasure_id: str) -> ErasureRow | None:
        """One erasure."""

    @abstractmethod
    async def unfinished(self) -> ErasureRow | None:
        """The oldest erasure that is not finished."""

    @abstractmethod
    async def lift(self, erasure_id: str, by: str, now_ms: int) -> bool:
        """Let in again what was erased; False if it is not kept out any more, or never was."""

    @abstractmethod
    async def silent_runs(self, before_ms: int, limit: int) -> list[str]:
        """Runs of which nothing was heard since, whose expiry is not on its way."""

    @abstractmethod
    def held(self) -> AbstractAsyncContextManager[bool]:
        """Whether it is on this process to carry erasures out, for as long as it lasts."""

    @abstractmethod
    async def _save(self, row: ErasureRow) -> None:
        """Keep how far an erasure is."""

    def first_step(self, kind: str) -> str:
        """Where an erasure of this kind begins."""
        return self.steps[kind][0]

    # ---------------------------------------------------------- carrying out

    async def advance(self, row: ErasureRow, now_ms: int) -> ErasureRow:
        """Carry an erasure on by one portion; the row as it is then.

        If it is as it was, something else has to happen first: try again a little later.
        """
        step: Step = getattr(self, f"_step_{row.at.step}")
        moved = await step(row)
        if moved.at.step == SKIPPED:
            moved = moved._replace(finished_ms=now_ms)
            await self._save(moved)
        elif moved.at.step == "":  # the step is over
            rest = self.steps[row.kind]
            place = rest.index(row.at.step) + 1
            if place < len(rest):
                moved = moved.moved(Progress(rest[place]))
            else:
                moved = moved.moved(Progress("done"))._replace(finished_ms=now_ms)
            await self._save(moved)
        return moved

    def eraser(self, row: ErasureRow) -> Eraser:
        """What takes out the person of this row."""
        return Eraser(self._key, [(row.field or "", row.value_digest or "")])

    async def _step_events(self, row: ErasureRow) -> ErasureRow:
        """What is told, and what receivers answered to it."""
        progress, counts = row.at, row.counted
        if row.kind != PERSON:
            dropped = await self._outbox.erase_run(row.run_uid or "", EVENTS_AT_ONCE)
            counts.events += dropped
            moved = row.moved(progress if dropped else Progress(""), counts)
        else:
            after = int(progress.after[0]) if progress.after else 0
            last, changed = await self._outbox.erase_from_events(
                self.eraser(row).record, after, EVENTS_AT_ONCE
            )
            counts.events += changed
            moved = row.moved(Progress("") if last is None else Progress("events", [last]), counts)
        if moved.at.step:
            await self._save(moved)
        return moved


def kept_without(
    eraser: Eraser, found: Sequence[tuple[str, bytes]]
) -> list[tuple[str, bytes, bytes]]:
    """Of (id, frame) in quarantine, those that changed without somebody: (id, body, frame)."""
    compressor = segments.compressor()
    bodies = [(one, eraser.unread(zstandard.decompress(frame))) for one, frame in found]
    return [(one, body, compressor.compress(body)) for one, body in bodies if body is not None]


def without_erased(eraser: Eraser, row: ScheduleRow) -> ScheduleRow:
    """What Edges said of a schedule, without people who are to stay erased."""
    return row._replace(
        record=eraser.record(row.record) or row.record,
        phases=eraser.record(row.phases) or row.phases,
    )
