"""Derived rows as columns: what every store writes of a run, an input and a callback."""

from collections.abc import Sequence, Set
from functools import lru_cache
from typing import Any

import orjson

from app.canonical import canonical
from app.model import RunId, completeness, input_status, run_status
from app.store.rows import CallbackRow, InputRow, RunRow

Column = str | int | bytes | bool | None

INPUT_COLUMNS = "status, statuses, error_label, error, results, first_received_ms, last_received_ms"
"""What changes of an input; see `input_values`."""

INPUT_ROW_COLUMNS = (
    "input_no, input_key, input, custom_data, statuses, error, results, first_received_ms,"
    " last_received_ms"
)
"""What is read of an input; see `input_row`."""

RUN_ROW_COLUMNS = (
    "callbacks, conflicts, results, statuses, action_name, execution_mode, scheduled_run_uid,"
    " inputs, inputs_succeeded, inputs_failed, first_received_ms, last_received_ms, finished_ms"
)
"""What is read of a run; see `run_row`."""

CALLBACK_COLUMNS = (
    "seq, callback_key, input_no, batch_uid, status, content, results, received_ms,"
    " body_bytes, conflicts_with, is_winner, lost_to, note"
)
"""In the order of `CallbackRow`, whose last field is written and never read back."""


def run_values(run: RunRow) -> dict[str, Column]:
    """A run's columns by name, but for those that identify it."""
    status = run_status(run.statuses)
    return {
        "status": status,
        "statuses": as_json(run.statuses),
        "completeness": completeness(status).value,
        "action_name": run.action_name,
        "execution_mode": run.execution_mode,
        "scheduled_run_uid": run.scheduled_run_uid,
        "callbacks": run.callbacks,
        "conflicts": run.conflicts,
        "results": run.results,
        "inputs": run.inputs,
        "inputs_succeeded": run.inputs_succeeded,
        "inputs_failed": run.inputs_failed,
        "first_received_ms": run.first_received_ms,
        "last_received_ms": run.last_received_ms,
        "finished_ms": run.finished_ms,
    }


def input_values(row: InputRow) -> tuple[Column, ...]:
    """The values of `INPUT_COLUMNS`."""
    label, error = (row.error["label"], canonical(row.error).decode()) if row.error else (None,) * 2
    return (
        *_status(frozenset(row.statuses)),
        label,
        error,
        row.results,
        row.first_received_ms,
        row.last_received_ms,
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
    callbacks, conflicts, results, statuses, *rest = columns
    return RunRow(run, callbacks, conflicts, results, set(orjson.loads(statuses)), *rest)


def input_row(columns: Sequence[Any]) -> InputRow:
    """An input from its `INPUT_ROW_COLUMNS`."""
    input_no, key, given, custom, statuses, error, *rest = columns
    return InputRow(
        input_no,
        key,
        given,
        custom,
        set(orjson.loads(statuses)),
        orjson.loads(error) if error else None,
        *rest,
    )


def as_json(values: Set[str]) -> str:
    """A set as a column."""
    return orjson.dumps(sorted(values)).decode()


@lru_cache
def _status(statuses: frozenset[str]) -> tuple[str, str]:
    """An input's status, and the statuses seen that it follows from."""
    return input_status(statuses), as_json(statuses)
