"""A part: the results of one run, in one version, as a target takes them."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from app.canonical import canonical, digest
from app.export.column_types import Columns
from app.export.compression import Packer
from app.export.records import Result
from app.export.result_set import ALL, ResultSet, Selection
from app.export.sheets import FurtherSheets, run_facts
from app.export.stream import Written as Counted
from app.export.stream import input_columns, results, run_by_run, snapshot
from app.export.table import SheetWriter
from app.export.xlsx_writer import COLUMNS_MAX, XlsxWriter
from app.sinks.location import FileFormat, SinkError
from app.store.reader import Reader
from app.store.views import Fields, ResultFilter, RunSnapshot, RunView


@dataclass(frozen=True, slots=True)
class Source:
    """Where results come from, and which."""

    reader: Reader
    result_keys: Sequence[str]
    chosen: ResultFilter = field(default_factory=ResultFilter)

    async def part(self, run: RunView, *, with_fields: bool = True) -> "Part":
        """A run as it is now; without its fields, if they are read with those of others."""
        taken = await snapshot(self.reader, run)
        # After the snapshot, so that all that it holds has its fields.
        fields = await self.reader.fields([run.run_uid] if with_fields else [])
        erased = await self.reader.people_erased()
        version = version_of(run, self.chosen, self.result_keys, erased)
        return Part(taken, version, fields, self, run_facts(run))

    def file(
        self,
        parts: Sequence["Part"],
        fields: Fields,
        file_format: FileFormat,
        tell: Callable[[int], None],
        *,
        selection: Selection = ALL,
        folder: Path | None = None,
    ) -> AsyncIterator[bytes]:
        """Runs as one file, or what `selection` makes of them.

        `fields` is their catalogue, `folder` for files that go away by themselves; `tell` hears
        of rows that were written. Raises SinkError or SelectionError at once, and
        OrderChangedError later, so that the file breaks off.
        """
        shape, reader = file_format.writer.shape, self.reader
        runs = [part.run for part in parts]
        whole = ResultSet(runs, self.chosen, fields, self.result_keys, selection, folder=folder)
        writer = file_format.writer(_fitting(file_format, whole.columns(shape)))
        packer = Packer(file_format.compression)
        further = None
        if isinstance(writer, SheetWriter):
            of_inputs = _fitting(file_format, input_columns(fields, shape))
            sheets = FurtherSheets(reader, writer, runs, [part.facts for part in parts])
            further = sheets.behind_results(self.chosen, of_inputs, shape)
        written = Counted()
        content = whole.file(
            reader, writer, shape=shape, packer=packer, further=further, written=written
        )
        return _told(content, written, tell)


async def _told(
    content: AsyncIterator[bytes], written: Counted, tell: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """A file, with `tell` hearing of its rows. Raises SinkError for values that do not fit in."""
    told = 0
    try:
        async for piece in content:
            yield piece
            tell(written.rows - told)
            told = written.rows
    except ValueError as error:  # MisfitError, of a module that needs pyarrow
        raise SinkError(str(error)) from error


def _fitting(file_format: FileFormat, columns: Columns) -> Columns:
    """These columns. Raises SinkError if the format has no room for them."""
    if file_format.writer is XlsxWriter and len(columns) > COLUMNS_MAX:
        raise SinkError(
            f"xlsx has {COLUMNS_MAX:,} columns at most, and these are {len(columns):,}: choose some"
            " with --fields, or another format"
        )
    return columns


@dataclass(frozen=True, slots=True)
class Part:
    """What of a run is to be written."""

    run: RunSnapshot
    version: str
    """Equal versions are equal results."""
    fields: Fields
    source: Source
    facts: bytes
    """Of the run as it stands, see `run_facts`."""

    async def portions(self) -> AsyncIterator[list[Result]]:
        """Its results, in the order of exports. Raises OrderChangedError behind the last one."""
        reader, chosen, result_keys = (
            self.source.reader,
            self.source.chosen,
            self.source.result_keys,
        )
        async for portion in run_by_run(
            reader, [self.run], lambda run: results(reader, run, chosen, result_keys)
        ):
            yield portion

    def file(self, file_format: FileFormat, tell: Callable[[int], None]) -> AsyncIterator[bytes]:
        """Its results as a file, see `Source.file`."""
        return self.source.file([self], self.fields, file_format, tell)


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


def version_of(
    run: RunView, chosen: ResultFilter, result_keys: Sequence[str], people_erased: int
) -> str:
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
        bool(run.is_respelled),
        people_erased,  # which runs these were in, their counts do not tell
    )
    filters = (
        chosen.input_key.hex() if chosen.input_key is not None else None,
        chosen.custom,
        chosen.received_after_ms,
        chosen.received_before_ms,
    )
    return digest(canonical([state, filters, list(result_keys)])).hex()
