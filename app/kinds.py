"""Kinds of values: what a field of a run's results has held, as bits that only ever add up.

Adding up is what makes the catalogue of fields independent of order: the kinds of a field are
the union over all its values. A kind that leaves less room for a type includes the bits of the
one that leaves more: any text is a `TIME` that is not one.
"""

import re
from datetime import datetime
from enum import IntFlag

from app.canonical import Json, canonical, parse


class Kinds(IntFlag):
    """Which values a field has held."""

    NULL = 1
    BOOLEAN = 2
    SMALL_INTEGER = 4
    """One that a float holds exactly: up to 2^53."""
    INTEGER = 4 | 8
    """One of 64 bits."""
    BIG_INTEGER = 4 | 8 | 16
    REAL = 32
    TIME = 64
    """Text that is a time in UTC, to the microsecond."""
    TEXT = 64 | 128
    LIST = 256
    OBJECT = 512
    """An object that has not opened up into fields: an empty one, or one in a list."""
    DEEP = 1024
    """A list or object that is nested too deep to be looked into."""


Path = tuple[str | None, ...]
"""Where something is within lists: the field's name, then None for any item, or a member's key.

`{"a": [{"b": [1]}]}` has lists' contents at `("a", None)`, `("a", None, "b")` and
`("a", None, "b", None)`.
"""

WITHIN = "[]"
"""What the catalogue adds to a section's name for what is within its lists, by path."""

NOT_RECORDED = Kinds(2047)
"""Of fields that were seen before kinds were recorded: it may be anything."""

EXACT_MAX = 2**53
"""Up to here a float holds any integer exactly."""

_INTEGER_MAX = 2**63 - 1
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)", re.ASCII
)


def is_time(text: str) -> bool:
    """Whether a text is a time of RFC 3339 that loses nothing as microseconds in UTC."""
    if text[4:5] != "-" or not TIME.fullmatch(text):  # the first alone refuses nearly all
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:  # such as a 30th of February
        return False
    return True


def kind_of(value: Json) -> Kinds:
    """The kind of one value, lists and objects as a whole."""
    match value:
        case None:
            return Kinds.NULL
        case bool():
            return Kinds.BOOLEAN
        case str():
            return Kinds.TIME if is_time(value) else Kinds.TEXT
        case int():
            size = abs(value)
            if size <= EXACT_MAX:
                return Kinds.SMALL_INTEGER
            return Kinds.INTEGER if size <= _INTEGER_MAX else Kinds.BIG_INTEGER
        case float():
            return Kinds.REAL
        case list():
            return Kinds.LIST
        case _:
            return Kinds.OBJECT


def path_name(path: Path) -> str:
    """A path as the catalogue keeps it."""
    return canonical(path).decode()


def read_path(name: str) -> Path:
    """The path that `path_name` wrote."""
    return tuple(parse(name.encode()))
