"""Runs and inputs as everybody sees them: in the API, in files, and in events."""

from app.canonical import Json, parse
from app.erased import shown_json
from app.model import timestamp
from app.store.views import InputView, RunView

Record = dict[str, Json]


def run_record(run: RunView) -> Record:
    """A run as the API shows it, but for the details of what is missing."""
    pending = run.inputs - run.inputs_succeeded - run.inputs_failed
    facts = run.told.facts if run.told else {}
    return {
        "run_uid": run.run_uid,
        "action_name": run.action_name,
        "execution_mode": run.execution_mode,
        "scheduled_run_uid": run.scheduled_run_uid,
        "status": run.status,
        "completeness": run.completeness,
        "counts": {
            "callbacks": run.callbacks,
            "duplicates": run.duplicates,
            "conflicts": run.conflicts,
            "results": run.results,
            "expected_results": run.expected_results,
            "inputs": run.inputs,
            "inputs_succeeded": run.inputs_succeeded,
            "inputs_failed": run.inputs_failed,
            "inputs_pending": pending,
        },
        "missing": None if run.missing is None else json_value(run.missing) | {"callbacks": []},
        "losses": _losses(run),
        "first_received_at": timestamp(run.first_received_ms),
        "last_received_at": timestamp(run.last_received_ms),
        "finished_at": time_of(run.finished_ms),
        "reconciled_at": time_of(run.verified_ms),
        "last_error": facts.get("last_error"),
    }


def _losses(run: RunView) -> Record | None:
    """What callbacks did not bring by themselves; None as long as nobody asked Edges."""
    if run.told is None:
        return None
    return {
        "results": run.lost_results,
        "inputs": run.lost_inputs,
        "callbacks": run.told.failed_callbacks,
    }


def input_record(run_uid: str, view: InputView) -> Record:
    """The nested shape of an input."""
    told = view.told
    return {
        "run_uid": run_uid,
        "input_uid": view.input_uid or input_uid(view.input_key),
        "input": json_value(shown_json(view.input)),
        "custom_data": json_value(shown_json(view.custom_data)),
        "status": view.status,
        "error": None if view.error is None else json_value(view.error),
        "result_count": view.results,
        "started_at": _moment(told.started_ms if told else None, view.first_received_ms),
        "finished_at": (
            _moment(told.finished_ms if told else None, view.last_received_ms)
            if view.status not in ("RUNNING", "QUEUED")
            else None
        ),
    }


def _moment(told_ms: int | None, shown_ms: int) -> str | None:
    """When it was: as Edges told, else as callbacks came; None if neither says."""
    return timestamp(told_ms or shown_ms) if told_ms or shown_ms else None


def time_of(unix_ms: int | None) -> str | None:
    """As `timestamp`; None where there is none."""
    return None if unix_ms is None else timestamp(unix_ms)


def callback_ref(callback_key: str) -> str | None:
    """The `callback_ref_uid` that a key stands for; None if there was none."""
    return None if not callback_key or callback_key.startswith("body:") else callback_key


_LOCAL = "local-"


def input_uid(input_key: bytes) -> str:
    """The uid of an input. Until Edges' own is known it is ours, and says so."""
    return _LOCAL + input_key.hex()


def input_key_of(uid: str) -> bytes | None:
    """The input key behind an `input_uid`, None if it can be none of ours."""
    try:
        return bytes.fromhex(uid.removeprefix(_LOCAL)) if uid.startswith(_LOCAL) else None
    except ValueError:
        return None


def json_value(text: str) -> Json:
    """JSON text of the store as a value, with integers of any size exact."""
    return parse(text.encode())
