"""What a workbook has behind its rows: inputs that failed, and the facts of its runs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from app.canonical import dumps, parse
from app.export.column_types import Columns
from app.export.stream import input_records, inputs_written, run_by_run
from app.export.table import Shape, SheetWriter
from app.model import FAILED_INPUT_STATUSES
from app.record import run_record
from app.store.reader import Reader
from app.store.views import InputFilter, ResultFilter, RunSnapshot, RunView

FAILED_INPUTS = "Failed inputs"
RUN = "Run"
FILE = "File"
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
)
"""Of the run when the file began. No time of the file, since the same state is to give the same
bytes."""
FILE_COLUMNS = ("rows", "failed_inputs", "cells_cut")
"""How many rows the first sheets have, those of failed inputs, and how many cells were too long."""


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
    """Sheets behind the results of runs, or behind the inputs of one."""

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

    async def behind_results(
        self, chosen: ResultFilter, columns: Columns, shape: Shape
    ) -> AsyncIterator[bytes]:
        """Failed inputs of the chosen ones, as in a table of inputs with these columns; facts."""
        failed = InputFilter(
            input_key=chosen.input_key,
            custom=chosen.custom,
            statuses=tuple(sorted(FAILED_INPUT_STATUSES)),
        )
        rows = self._writer.rows_written
        yield self._writer.sheet(FAILED_INPUTS, columns)
        write = inputs_written(self._writer, shape)
        async for records in run_by_run(
            self._reader, self._runs, lambda run: input_records(self._reader, run, failed)
        ):
            yield await asyncio.to_thread(write, records)
        yield self._facts_sheets(rows, self._writer.rows_written - rows)

    async def behind_inputs(self) -> AsyncIterator[bytes]:
        """Facts alone; which of the inputs failed, the sheet before tells."""
        yield self._facts_sheets(self._writer.rows_written, None)

    def _facts_sheets(self, rows: int, failed_inputs: int | None) -> bytes:
        written = self._writer.sheet(RUN, RUN_COLUMNS)
        written += self._writer.lines(map(self._writer.as_cells, map(parse, self._facts)))
        written += self._writer.sheet(FILE, FILE_COLUMNS)
        counts = (rows, failed_inputs, self._writer.cells_cut)
        return written + self._writer.lines([self._writer.as_cells(counts)])
