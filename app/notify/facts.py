"""What else is known of an event, as (name, value) lines below its headline."""

from collections.abc import Iterator
from typing import NamedTuple

from app.canonical import Json
from app.notify.words import count, error_words, line, member, place_of

FACTS_MAX = 20


class Fact(NamedTuple):
    """One line: what it is, and the value as plain text on one line, never empty."""

    name: str
    value: str


# Where a fact of any event stands, in the order in which it is told.
_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Run", ("run_uid",)),
    ("Action", ("action_name",)),
    ("Schedule", ("scheduled_run_uid",)),
    ("Due", ("due_at",)),
    ("Status", ("status",)),
    ("Completeness", ("completeness",)),
    ("Input", ("input", "input")),
    ("Custom data", ("input", "custom_data")),
    ("Callback", ("callback_ref_uid",)),
    ("Quarantine", ("quarantine_id",)),
    ("Detail", ("detail",)),
    ("Bytes", ("body_bytes",)),
    ("Cause", ("cause",)),
    ("Endpoint", ("endpoint_id",)),
    ("Reason", ("reason",)),
    ("Finished", ("finished_at",)),
)


def facts(data: Json) -> list[Fact]:
    """Those that `data`, of whichever event, has; at most `FACTS_MAX`."""
    told = [Fact(name, text) for name, path in _PLACES if (text := line(member(data, *path)))]
    return [*told, *_further(data)][:FACTS_MAX]


def _further(data: Json) -> Iterator[Fact]:
    if place := place_of(member(data, "url")):
        yield Fact("Address", place)
    if results := _of(
        member(data, "counts", "results"), member(data, "counts", "expected_results")
    ):
        yield Fact("Results", results)
    if inputs := _inputs(data):
        yield Fact("Inputs", inputs)
    for name in ("results", "inputs"):  # of lost callbacks
        if (number := count(member(data, name))) is not None:
            yield Fact(f"Lost {name}", f"{number:,}")
    for path in (("input", "error"), ("last_error",)):
        if error := error_words(member(data, *path)):
            yield Fact("Error", error)
        if reference := line(member(data, *path, "error_ref"), 100):
            yield Fact("Error reference", reference)


def _of(value: Json, whole: Json) -> str:
    number, expected = count(value), count(whole)
    if number is None:
        return ""
    return f"{number:,}" if expected is None else f"{number:,} of {expected:,} expected"


def _inputs(data: Json) -> str:
    number = count(member(data, "counts", "inputs"))
    if number is None:
        return ""
    parts = [
        f"{part:,} {name}"
        for name in ("succeeded", "failed", "pending")
        if (part := count(member(data, "counts", f"inputs_{name}")))
    ]
    return f"{number:,}{': ' + ', '.join(parts) if parts else ''}"
