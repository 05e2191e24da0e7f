"""Writing runs to where they are to be: one after another, and only what is new."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field

from app.export.result_set import ALL, Selection
from app.export.stream import OrderChangedError
from app.sinks.location import Location, SinkError
from app.sinks.parts import Source, Target
from app.sinks.targets import opened_target
from app.sinks.whole_file import whole_file
from app.store.reader import Reader
from app.store.views import ResultFilter, RunFilter, RunView

Tell = Callable[[int, int], None]
"""Hears how many runs and rows more are done."""

_RUNS_AT_ONCE = 500
_TRIES = 5
"""Of a run whose order changes while it is read."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which results are written."""

    runs: RunFilter
    results: ResultFilter
    since_ms: int | None = None
    """Only runs that have received something since then."""
    complete_only: bool = False
    """Only runs that are proven complete."""

    def has(self, run: RunView) -> bool:
        """Whether a run of the filter is among them."""
        if self.complete_only and run.completeness != "complete":
            return False
        return self.since_ms is None or run.last_received_ms >= self.since_ms


@dataclass(slots=True)
class Outcome:
    """What was done."""

    runs: int = 0
    """Runs that were chosen."""
    unchanged: int = 0
    """Those that were there already, as they are."""
    rows: int = 0
    """Rows of the others."""
    version: str | None = None
    """Of the last run."""
    notes: list[str] = field(default_factory=list)
    """What users should know, in the order in which it came up."""

    @property
    def written(self) -> int:
        """Runs that were written."""
        return self.runs - self.unchanged

    def note(self, notes: Collection[str]) -> None:
        """Keep what was not said yet."""
        self.notes += [one for one in notes if one not in self.notes]


async def chosen_runs(reader: Reader, choice: Choice) -> AsyncIterator[RunView]:
    """The chosen runs, in the order of exports."""
    after: str | None = None
    while runs := await reader.runs_in_export_order(
        choice.runs, after_uid=after, limit=_RUNS_AT_ONCE
    ):
        for run in runs:
            if choice.has(run):
                yield run
        after = runs[-1].run_uid


async def write_runs(
    source: Source,
    run_uids: Sequence[str],
    location: Location,
    tell: Tell,
    selection: Selection = ALL,
) -> Outcome:
    """Write these runs to a sink, or in one file what `selection` makes of them.

    Raises SinkError or StoreError; what is written stays so. Raises SelectionError.
    """
    if location.is_one_file:
        return await _write_file(source, run_uids, location, tell, selection)
    outcome = Outcome()
    async with opened_target(location) as target:
        # Once for all runs, so that no column is altered twice on the way.
        outcome.note(await target.prepare(await source.reader.fields(run_uids)))
        for run_uid in run_uids:
            tell(1, await write_run(source, run_uid, target, outcome))
    return outcome


async def write_run(
    source: Source, run_uid: str, target: Target, outcome: Outcome, *, again: bool = False
) -> int:
    """Write a run, unless it is there as it is, or `again`; about how many rows it has there.

    Raises SinkError or StoreError, and then what was there is as it was.
    """
    for tries_left in reversed(range(_TRIES)):
        run = await source.reader.run(run_uid)
        if run is None:  # it was deleted meanwhile
            return 0
        part = await source.part(run)
        outcome.version = part.version
        if not again and await target.version(run_uid) == part.version:
            outcome.runs += 1
            outcome.unchanged += 1
            return run.results
        outcome.note(await target.prepare(part.fields))
        try:
            written = await target.write(part)
        except OrderChangedError:
            if not tries_left:
                raise
            continue
        outcome.runs += 1
        outcome.rows += written.rows
        outcome.note(written.notes)
        return written.rows
    raise AssertionError("the last try has raised")


async def _write_file(
    source: Source,
    run_uids: Sequence[str],
    location: Location,
    tell: Tell,
    selection: Selection,
) -> Outcome:
    """All runs in one file, which is there only once it is whole."""
    file_format = location.file_format
    if file_format is None:
        raise SinkError(f"{location.shown} has no format")
    parts = []
    for run_uid in run_uids:
        run = await source.reader.run(run_uid)
        if run is not None:
            # Fields are read at once for all of them, and behind the last: what a run holds
            # has its column.
            parts.append(await source.part(run, with_fields=False))
    fields = await source.reader.fields([part.run.run_uid for part in parts])
    outcome = Outcome(runs=len(parts))

    def count(rows: int) -> None:
        outcome.rows += rows
        tell(0, rows)

    folder = location.path.parent if location.kind == "file" else None
    content = source.file(parts, fields, file_format, count, selection=selection, folder=folder)
    try:
        if location.kind == "output":
            async for piece in content:
                await asyncio.to_thread(sys.stdout.buffer.write, piece)
            sys.stdout.buffer.flush()
        else:
            with whole_file(location.path) as file:
                async for piece in content:
                    await asyncio.to_thread(file.write, piece)
    except OSError as error:
        raise SinkError(f"{location.shown} cannot be written: {error}") from error
    tell(len(parts), 0)
    return outcome
