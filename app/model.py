"""The field's own words as data: statuses, arrivals, outcomes, errors. No I/O here.

Statuses and error labels: the provider's reference, as gathered in the project's notes
on the Edges API. Both stay open sets: what is unknown is kept as it came.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from app.canonical import Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# ------------------------------------------------------------------ statuses

RUN_STATUSES = (
    "CREATED",
    "SCHEDULED",
    "QUEUED",
    "RUNNING",
    "INVALID",
    "BLOCKED",
    "FAILED",
    "SUCCEEDED",
    "PARTIAL_SUCCEEDED",
    "STOPPED",
)
"""Weakest first: of several statuses that callbacks showed, the strongest is the run's."""

TERMINAL_STATUSES = frozenset(RUN_STATUSES[4:])
ENDED_INPUT_STATUSES = frozenset({"SUCCEEDED", "FAILED", "BLOCKED", "STOPPED", "INVALID"})
"""After these nothing more comes of an input, unless the run is continued."""

FAILED_INPUT_STATUSES = frozenset({"FAILED", "BLOCKED", "STOPPED"})
"""Ends of an input that count as failed."""

_FAILURES = frozenset({"INVALID", "BLOCKED", "FAILED"})
_STRENGTH = {status: strength for strength, status in enumerate(RUN_STATUSES)}


def read_status(value: Json) -> str | None:
    """A status as Edges spells it, upper case; None where there is none. Unknown ones are kept."""
    if not isinstance(value, str):
        return None
    return value.strip().upper()[:40].replace("\0", "?") or None


def read_time_ms(value: Json) -> int | None:
    """A time as Edges writes it (ISO 8601, UTC unless it says else) as Unix milliseconds."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def run_status(seen: Iterable[str]) -> str:
    """The status of a run of which callbacks showed `seen`, in any order.

    The strongest one counts, so that late RUNNING callbacks reopen nothing. Success and
    failure seen together can only speak of inputs: the run then succeeded in part.
    A run of which nothing is known is RUNNING, since it called back.
    """
    statuses = set(seen)
    if "SUCCEEDED" in statuses and statuses & _FAILURES and "STOPPED" not in statuses:
        return "PARTIAL_SUCCEEDED"
    known = [status for status in statuses if status in _STRENGTH]
    if known:
        return max(known, key=_STRENGTH.__getitem__)
    return min(statuses) if statuses else "RUNNING"


def input_status(seen: Iterable[str]) -> str:
    """The status of an input of which callbacks showed `seen`, in any order.

    A success outweighs failures: the input was tried again. See `callback_input_status`.
    """
    statuses = set(seen)
    if len(statuses) == 1:
        return statuses.pop()
    for status in ("SUCCEEDED", "FAILED", "BLOCKED", "STOPPED", "RUNNING"):
        if status in statuses:
            return status
    return min(statuses) if statuses else "RUNNING"


def callback_input_status(status: str | None, *, has_error: bool) -> str:
    """What one callback says of its input: an error is a failure, whatever the run's status."""
    if has_error:
        return status if status in ("BLOCKED", "STOPPED") else "FAILED"
    if status == "PARTIAL_SUCCEEDED":  # can only speak of the run
        return "SUCCEEDED"
    return "BLOCKED" if status == "INVALID" else status or "RUNNING"


def timestamp(unix_ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    unix_s, ms = divmod(unix_ms, 1000)  # in integers: floats round some
    return f"{_second(unix_s)}.{ms:03}Z"


@lru_cache(maxsize=1024)
def _second(unix_s: int) -> str:
    """Kept for a while, since results that came together are written together."""
    return (_EPOCH + timedelta(seconds=unix_s)).isoformat().removesuffix("+00:00")


class Completeness(StrEnum):
    """How much is proven of a run."""

    OPEN = "open"
    UNVERIFIED = "unverified"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


def completeness(status: str) -> Completeness:
    """What can be said from callbacks alone: a run still goes, or it ended and awaits its proof."""
    return Completeness.UNVERIFIED if status in TERMINAL_STATUSES else Completeness.OPEN


# ------------------------------------------------------------------ arrivals


class Source(StrEnum):
    """Where an entry of the log comes from; see `app.envelope` for what Edges is asked."""

    CALLBACK = "callback"
    RUN = "run"
    """The state of a run, as Edges told it."""
    INPUTS = "inputs"
    """A page of a run's inputs."""
    OUTPUTS = "outputs"
    """A page of a run's outputs."""
    CALLBACKS = "callbacks"
    """A page of what Edges records of a run's callbacks."""
    ACT = "act"
    """Something that was asked of Edges, or of us, for a run."""


class Arrival(NamedTuple):
    """One authentic callback, or an answer of Edges, on its way into the log."""

    run_uid: str
    key: str
    """What it is deduplicated by within its run: `callback_ref_uid`, or `body:<hex digest>`."""
    body: bytes
    received_ms: int
    """Unix time in milliseconds."""
    source: str = Source.CALLBACK.value


class Outcome(StrEnum):
    """What the log did with an arrival. All three are durable when told."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class RunId(NamedTuple):
    """How a store finds a run."""

    no: int
    """The run's number in this store, for the life of the log; 0 where runs go by uid alone."""
    uid: str


class Logged(NamedTuple):
    """One callback, or another entry, as the log holds it."""

    seq: int
    """Place in the run's log: unique within the run, rising in order of arrival."""
    run: RunId
    key: str
    body: bytes
    received_ms: int
    conflicts_with: int | None
    """`seq` of the first callback with the same key and another body."""
    source: str = Source.CALLBACK.value


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An authentic body that was not understood, kept whole."""

    quarantine_id: str
    received_ms: int
    reason: str
    detail: str
    content_type: str
    body: bytes
    times_seen: int = 1


# ------------------------------------------------------------------- results


def results_of(value: dict[str, Json], result_keys: Sequence[str]) -> tuple[str | None, list[Json]]:
    """The key that holds the results of a callback's body, and the results.

    The first of `result_keys` that holds a list or an object counts; (None, []) if none does.
    """
    for key in result_keys:
        found = value.get(key)
        if isinstance(found, list):
            return key, found
        if isinstance(found, dict):
            return key, [found]
    return None, []


# -------------------------------------------------------------------- errors

LABEL_LENGTH_MAX = 200

RETRYABLE_LABELS = frozenset(
    {"STATUS_429", "LK_ERROR", "LK_524", "GENERIC_ERROR", "NO_DATA_LOADED", "LIMIT_REACHED"}
)


def normalise_error(raw: Json) -> dict[str, Json] | None:
    """An error in the collector's one shape, from any of the shapes that Edges uses.

    Shapes: the API's (`error_label`, `error_scope`, …), a run's `last_error` (`label`,
    `message`, `params`), an input's (`label`, `scope`, `has_failed`, …), or a bare text.
    None if there is no error: null, empty, or `has_failed` false.
    """
    if isinstance(raw, str) and raw.strip():
        raw = {"message": raw}
    if not isinstance(raw, Mapping) or not raw or raw.get("has_failed") is False:
        return None

    def first(*names: str) -> Json:
        return next((raw[name] for name in names if raw.get(name) is not None), None)

    label = first("error_label", "label", "code", "name")
    label = str(label)[:LABEL_LENGTH_MAX].replace("\0", "?") if label is not None else "UNKNOWN"
    params = first("params", "validation_errors")
    return {
        "label": label,
        "message": first("message", "detail", "error_message"),
        "scope": first("error_scope", "scope"),
        "status_code": first("status_code", "status"),
        "error_ref": first("error_ref"),
        "params": params,
        "retryable": label in RETRYABLE_LABELS,
    }
