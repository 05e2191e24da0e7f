"""What a workbook has behind its rows: inputs that failed, and the facts of its runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from app.canonical import Json, dumps, parse
from app.export.column_types import Columns
from app.export.stream import inputs, inputs_written
from app.export.table import Shape, SheetWriter
from app.model import FAILED_INPUT_STATUSES
from app.record import run_record
from app.store.reader import Reader
from app.store.views import InputFilter, ResultFilter, RunSnapshot, RunView

FAILED_INPUTS = "Failed inputs"
RUN = "Run"
_COUNTS = (
    "callbacks",
    "duplicates",
    "conflicts",
    "results",
    "expected_results",
    "inputs",
    "inputs_succeeded",
    "inputs_failed",
    "inputs_pending",
)
_LOSSES = ("results", "inputs", "callbacks")
_BEFORE = (
    "run_uid",
    "action_name",
    "execution_mode",
    "scheduled_run_uid",
    "status",
    "completeness",
)
_BEHIND = (
    "missing",
    "first_received_at",
    "last_received_at",
    "finished_at",
    "reconciled_at",
    "last_error",
)
RUN_COLUMNS = (
    *_BEFORE,
    *(f"counts.{name}" for name in _COUNTS),
    *(f"losses.{name}" for name in _LOSSES),
    *_BEHIND,
    "file.rows",
    "file.failed_inputs",
    "file.cells_cut",
)
"""Of the run when the file began, then what of it the file has. No time of the file itself, since
the same state is to give the same bytes."""


def run_facts(run: RunView) -> bytes:
    """A run as it stands, for `RUN_COLUMNS`; small, since a file may be of many runs."""
    record = run_record(run)
    losses = record["losses"] or {}
    return dumps(
        [
            *[record[name] for name in _BEFORE],
            *[record["counts"][name] for name in _COUNTS],
            *[losses.get(name) for name in _LOSSES],
            *[record[name] for name in _BEHIND],
        ]
    )


class FurtherSheets:
    """Behind the results of runs, or behind the inputs of one: two sheets, or the last alone."""

    def __init__(
        self,
        reader: Reader,
        writer: SheetWriter[Any],
        runs: Sequence[RunSnapshot],
        facts: Sequence[bytes],
    ) -> None:
        """`facts` are those of `runs`, in their order."""
        self._reader = reader
        self._writer = writer
        self._runs = runs
        self._facts = facts
        self._seen = (0, 0)
        self._written: list[list[int]] = []
        """Of each run: rows, failed inputs, cells that were cut."""

    def counted(self) -> Iterator[RunSnapshot]:
        """The runs. What is written until the next one is asked for counts as of the last one."""
        for run in self._runs:
            yield run
            rows, cut = self._news()
            self._written.append([rows, 0, cut])

    async def behind_results(
        self, chosen: ResultFilter, columns: Columns, shape: Shape
    ) -> AsyncIterator[bytes]:
        """Failed inputs of the chosen ones, as in a table of inputs with these columns; facts."""
        failed = InputFilter(
            input_key=chosen.input_key,
            custom=chosen.custom,
            statuses=tuple(sorted(FAILED_INPUT_STATUSES)),
        )
        yield self._writer.sheet(FAILED_INPUTS, columns)
        write = inputs_written(self._writer, shape)
        for run, written in zip(self._runs, self._written, strict=True):
            async for records in inputs(self._reader, run, failed):
                yield await asyncio.to_thread(write, records)
            rows, cut = self._news()
            written[1] += rows
            written[2] += cut
        yield self._run_sheet()

    async def behind_inputs(self) -> AsyncIterator[bytes]:
        """Facts alone; of how many of the inputs failed, the sheet before tells."""
        rows, cut = self._news()
        self._written.append([rows, 0, cut])
        yield self._run_sheet()

    def _news(self) -> tuple[int, int]:
        """Rows and cut cells since this was last asked."""
        rows, cut = self._seen
        self._seen = self._writer.rows_written, self._writer.cells_cut
        return self._seen[0] - rows, self._seen[1] - cut

    def _run_sheet(self) -> bytes:
        begun = self._writer.sheet(RUN, RUN_COLUMNS)
        rows: Iterator[list[Json]] = (
            parse(facts) + written
            for facts, written in zip(self._facts, self._written, strict=True)
        )
        return begun + self._writer.lines(map(self._writer.as_cells, rows))
