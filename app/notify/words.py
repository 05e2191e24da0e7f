"""Pieces of an event as words for one line: bounded, without line breaks, whatever came in.

Much of what an event holds was written by others (errors, inputs, names), and any of it may be
missing. Nothing here raises.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from app.canonical import Json, canonical

LENGTH_MAX = 300
"""Of one piece, unless told otherwise."""


def member(data: Json, *path: str) -> Json:
    """What stands at `path` in nested objects; None if it does not go that far."""
    for name in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    return data


def line(value: Json, length_max: int = LENGTH_MAX) -> str:
    """`value` on one line: text as it is, else as JSON; empty for None. Cut with an ellipsis."""
    if value is None:
        return ""
    if not isinstance(value, str):
        try:
            value = canonical(value).decode()
        except (ValueError, RecursionError):
            return "(unreadable)"
    # What cannot be seen (line breaks, NUL, marks that turn the direction of writing) is a blank.
    cut = value[: 4 * length_max]
    text = " ".join("".join(c if c.isprintable() else " " for c in cut).split())
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def count(value: Json) -> int | None:
    """A number of things; None where there is none."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value < 10**18 else None


def many(value: Json, noun: str) -> str:
    """`1 result`, `1,200 results`; empty if `value` is no number of things."""
    number = count(value)
    if number is None:
        return ""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(*pieces: str) -> str:
    """`a, b and c` of those that are not empty."""
    *others, last = [piece for piece in pieces if piece] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def error_words(error: Json) -> str:
    """`LABEL: message` of an error in the collector's shape, or of a bare text."""
    if not isinstance(error, Mapping):
        return line(error)
    label, message = line(error.get("label"), 100), line(error.get("message"))
    return f"{label}: {message}" if label and message else label or message


def run_name(data: Json) -> str:
    """`run linkedin-extract-people (0197…)`, as far as it is known."""
    action, uid = line(member(data, "action_name"), 100), line(member(data, "run_uid"), 100)
    if action and uid:
        return f"run {action} ({uid})"
    return f"run {action or uid}" if action or uid else "a run"


def place_of(url: Json) -> str:
    """Where an endpoint is, without what may be secret in its address (paths, queries, users)."""
    text = line(url, 2_000)
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return ""
    if host:
        return line(f"{parts.scheme}://{host}")
    return line(text) if parts.scheme == "mailto" else line(parts.scheme)
