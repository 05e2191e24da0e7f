"""A part: the results of one run, in one version, as a target takes them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from app.canonical import canonical, digest
from app.export.records import Result
from app.export.stream import refuse_changed, results, snapshot
from app.store.reader import Reader
from app.store.views import Fields, ResultFilter, RunSnapshot, RunView


@dataclass(frozen=True, slots=True)
class Source:
    """Where results come from, and which."""

    reader: Reader
    result_keys: Sequence[str]
    chosen: ResultFilter = field(default_factory=ResultFilter)

    async def part(self, run: RunView) -> "Part":
        """A run as it is now."""
        taken = await snapshot(self.reader, run)
        # After the snapshot, so that all that it holds has its fields.
        fields = await self.reader.fields([run.run_uid])
        return Part(taken, version_of(run, self.chosen, self.result_keys), fields, self)


@dataclass(frozen=True, slots=True)
class Part:
    """What of a run is to be written."""

    run: RunSnapshot
    version: str
    """Equal versions are equal results."""
    fields: Fields
    source: Source

    async def portions(self) -> AsyncIterator[list[Result]]:
        """Its results, in the order of exports. Raises OrderChangedError behind the last one."""
        source = self.source
        async for portion in results(source.reader, self.run, source.chosen, source.result_keys):
            yield portion
        await refuse_changed(source.reader, self.run)


class Written(NamedTuple):
    """What became of a part."""

    rows: int
    notes: tuple[str, ...] = ()
    """What users should know of it."""


class Target(Protocol):
    """Somewhere that keeps parts. Everything raises SinkError."""

    async def open(self) -> None:
        """Reach it, and make what it needs; once, before anything else."""

    async def close(self) -> None:
        """Let go of it."""

    async def version(self, run_uid: str) -> str | None:
        """Of the part that is there; None if there is none, or it is not whole."""

    async def prepare(self, fields: Fields) -> list[str]:
        """Make room for these fields; what was changed for that, in words."""

    async def write(self, part: Part) -> Written:
        """Put a part in the place of what was there of its run, all of it or nothing.

        Its fields were prepared.
        """


def version_of(run: RunView, chosen: ResultFilter, result_keys: Sequence[str]) -> str:
    """Of the results of a run, as these choose and find them.

    Whatever changes the results changes one of these numbers, none of which falls back, and the
    same run in the same state has them in either store, also after a rebuild.
    """
    state = (
        run.callbacks,
        run.conflicts,
        run.results,
        run.inputs,
        run.last_received_ms,
        run.order_no,
        run.outputs_no,
    )
    filters = (
        chosen.input_key.hex() if chosen.input_key is not None else None,
        chosen.custom,
        chosen.received_after_ms,
    )
    return digest(canonical([state, filters, list(result_keys)])).hex()
