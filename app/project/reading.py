"""What one logged callback says, read liberally: a pure function of its body."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.canonical import Json, canonical, digest, parse
from app.erased import MARK, NO_INPUT, digest_of, input_key, is_erased, shown
from app.model import (
    Logged,
    callback_input_status,
    normalise_error,
    read_status,
    results_of,
)
from app.project.catalogue import Catalogue

_KNOWN_KEYS = frozenset({"callback_ref_uid", "run", "custom_data", "input", "error", MARK})
_TEXT_MAX = 200


@dataclass(slots=True)
class Reading:
    """One callback, understood as far as it can be."""

    logged: Logged
    run_uid: str = ""
    batch_uid: str | None = None
    status: str | None = None
    action_name: str | None = None
    execution_mode: str | None = None
    scheduled_run_uid: str | None = None
    input_key: bytes = NO_INPUT
    input: Json = None
    input_json: bytes = b"null"
    """Canonical, as the `custom_json`."""
    custom_data: Json = None
    custom_json: bytes = b"null"
    error: dict[str, Json] | None = None
    digests: Sequence[bytes] = ()
    """One for each result, in the callback's order."""
    content: bytes | None = None
    """What a replay under another id shares with its original; None without results."""
    note: str | None = None
    """What an operator should know of it: unknown keys, or why it could not be read."""

    @property
    def input_status(self) -> str:
        """What this callback says of its input's status."""
        return callback_input_status(self.status, has_error=self.error is not None)

    @property
    def rank(self) -> tuple[int, bool, bytes]:
        """Of several bodies under one id, the highest rank counts: most results, then an end."""
        is_final = self.status not in (None, "RUNNING")
        return len(self.digests), is_final, digest_of(parse(self.logged.body))


def read_callback(
    logged: Logged, result_keys: Sequence[str], catalogue: Catalogue | None = None
) -> Reading:
    """The reading of a logged callback. Never raises: what cannot be read has a `note`.

    The fields of its results are noted in the `catalogue`.
    """
    try:
        value = parse(logged.body)
        return _read(logged, value, result_keys, catalogue)
    except (ValueError, TypeError, RecursionError, AttributeError) as error:
        return Reading(logged, note=short_text(f"could not be read: {error}"))


def _read(
    logged: Logged,
    value: dict[str, Any],
    result_keys: Sequence[str],
    catalogue: Catalogue | None,
) -> Reading:
    run = value["run"]
    batch_uid = short_text(run.get("batch_uid"))
    given, custom_data = value.get("input"), value.get("custom_data")
    found_at, results = results_of(value, result_keys)
    input_json, custom_json = canonical(given), canonical(custom_data)
    key = input_key(input_json, custom_json)
    digests = [digest_of(result) for result in results]
    reading = Reading(logged, run["run_uid"], batch_uid, read_status(run.get("status")))
    reading.action_name = short_text(run.get("action_name"))
    reading.execution_mode = short_text(run.get("execution_mode"))
    reading.scheduled_run_uid = short_text(run.get("scheduled_run_uid"))
    reading.input_key = key
    reading.input, reading.input_json = shown(given), input_json
    reading.custom_data, reading.custom_json = shown(custom_data), custom_json
    reading.error = normalise_error(value.get("error"))
    if digests:
        reading.digests = digests
        reading.content = digest(b"\0".join(((batch_uid or "").encode(), key, *digests)))
        if catalogue is not None:
            for result in results:
                if not is_erased(result):
                    catalogue.see("data", shown(result))
    unknown = value.keys() - _KNOWN_KEYS
    unknown.discard(found_at)
    if unknown:
        reading.note = "unknown keys: " + (short_text(", ".join(sorted(unknown))) or '""')
    return reading


def short_text(value: Json) -> str | None:
    """A short text; a store's text may not hold NUL."""
    if not isinstance(value, str) or not value:
        return None
    return value[:_TEXT_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")
