"""Derived rows as columns: what every store writes of a run, an input and a callback."""

from collections.abc import Sequence, Set
from functools import lru_cache
from typing import Any

import orjson

from app.canonical import canonical
from app.model import RunId, input_status
from app.proof import Proof, losses, proof
from app.store.rows import CallbackRow, EdgesCallbackRow, InputRow, RunRow
from app.told import read_told, read_told_input, told_json

Column = str | int | bytes | bool | None

INPUT_COLUMNS = "status, statuses, error_label, error, results, first_received_ms, last_received_ms"
"""What callbacks change of an input; see `input_values`."""

TOLD_INPUT_COLUMNS = "input, input_uid, alias_key, told, shown_error, short"
"""What Edges' list of inputs changes of one beside these; see `told_input_values`."""

INPUT_ROW_COLUMNS = (
    "input_no, input_key, input, custom_data, statuses,"
    " CASE WHEN told IS NULL THEN error ELSE shown_error END, results, first_received_ms,"
    " last_received_ms, input_uid, alias_key, told"
)
"""What is read of an input; see `input_row`."""

RUN_ROW_COLUMNS = (
    "callbacks, conflicts, results, statuses, action_name, execution_mode, scheduled_run_uid,"
    " inputs, inputs_succeeded, inputs_failed, first_received_ms, last_received_ms, finished_ms,"
    " terminal_ms, told"
)
"""What is read of a run; see `run_row`."""

CALLBACK_COLUMNS = (
    "seq, callback_key, input_no, batch_uid, status, content, results, received_ms,"
    " body_bytes, conflicts_with, is_winner, lost_to, note"
)
"""In the order of `CallbackRow`, whose last field is written and never read back."""


EDGES_CALLBACK_COLUMNS = ", ".join(EdgesCallbackRow._fields)
"""In the order of `EdgesCallbackRow`."""

OUTPUT_PAGE_COLUMNS = "walk_uid, page, seq, received_ms, digests, counted"
"""In the order of `OutputPage`."""


def run_values(run: RunRow) -> dict[str, Column]:
    """A run's columns by name, but for those that identify it."""
    told = run.told
    proven = proof(told, run.statuses, run.all_results)
    lost = losses(told, run.results)
    return {
        "status": proven.status,
        "statuses": as_json(run.statuses),
        "completeness": proven.completeness.value,
        "action_name": run.action_name,
        "execution_mode": run.execution_mode,
        "scheduled_run_uid": run.scheduled_run_uid,
        "callbacks": run.callbacks,
        "conflicts": run.conflicts,
        "results": run.all_results,
        "inputs": run.inputs,
        "inputs_succeeded": run.inputs_succeeded,
        "inputs_failed": run.inputs_failed,
        "first_received_ms": run.first_received_ms,
        "last_received_ms": run.last_received_ms or run.first_received_ms,
        "finished_ms": run.finished_ms,
        "terminal_ms": run.terminal_ms,
        "expected_results": proven.expected_results,
        "missing": _missing(proven),
        "lost_results": lost.results,
        "lost_inputs": lost.inputs,
        "verified_ms": proven.verified_ms,
        "told": None if told is None else told_json(told),
    }


def _missing(proven: Proof) -> str | None:
    """What is missing in numbers; None if nothing is known to be."""
    if not (proven.missing_results or proven.missing_inputs or proven.surplus_results):
        return None
    counts = {"results": proven.missing_results, "inputs": proven.missing_inputs}
    if proven.surplus_results:
        counts["surplus_results"] = proven.surplus_results
    return orjson.dumps(counts).decode()


def input_values(row: InputRow) -> tuple[Column, ...]:
    """The values of `INPUT_COLUMNS`."""
    if row.told is None:
        settled = row.error
        status = _status(frozenset(row.statuses))
    else:
        settled = row.shown_error
        status = row.status, as_json(row.statuses)
    label, error = (settled["label"], canonical(settled).decode()) if settled else (None, None)
    return (*status, label, error, row.results, row.first_received_ms, row.last_received_ms)


def told_input_values(row: InputRow) -> tuple[Column, ...]:
    """The values of `TOLD_INPUT_COLUMNS`."""
    return (
        row.input,
        row.input_uid,
        row.alias_key,
        None if row.told is None else told_json(row.told),
        canonical(row.error).decode() if row.error else None,
        row.short,
    )


def callback_values(row: CallbackRow) -> tuple[Column, ...]:
    """The values of `CALLBACK_COLUMNS`, and the digests."""
    return (
        row.seq,
        row.key,
        row.input_no,
        row.batch_uid,
        row.status,
        row.content,
        row.results,
        row.received_ms,
        row.body_bytes,
        row.conflicts_with,
        row.is_winner,
        row.lost_to,
        row.note,
        row.digests,
    )


def run_row(run: RunId, columns: Sequence[Any]) -> RunRow:
    """A run from its `RUN_ROW_COLUMNS`."""
    callbacks, conflicts, results, statuses, *rest, told_text = columns
    told = read_told(told_text) if told_text else None
    if told is not None:
        results -= told.from_outputs
    rest = [set(orjson.loads(statuses)), *rest, told]
    return RunRow(run, callbacks, conflicts, results, *rest)


def input_row(columns: Sequence[Any]) -> InputRow:
    """An input from its `INPUT_ROW_COLUMNS`."""
    input_no, key, given, custom, statuses, error, *rest, told = columns
    shown = orjson.loads(error) if error else None
    rest = [set(orjson.loads(statuses)), shown, *rest, read_told_input(told) if told else None]
    row = InputRow(input_no, key, given, custom, *rest)
    if row.has_failed:
        row.failed_as = row.input_uid or ""
    return row


def as_json(values: Set[str]) -> str:
    """A set as a column."""
    return orjson.dumps(sorted(values)).decode()


@lru_cache
def _status(statuses: frozenset[str]) -> tuple[str, str]:
    """An input's status, and the statuses seen that it follows from."""
    return input_status(statuses), as_json(statuses)
