"""Fields of nested objects as flat names: what a column of a table is called.

`{"a": {"b": 1}, "c": [1]}` has the fields `a.b` and `c`: objects open up, lists stay whole.
"""

from collections.abc import Iterator, Mapping

from app.canonical import Json, canonical

DEPTH_MAX = 16
"""Objects nested deeper than this stay whole, as lists do."""

VALUE_LENGTH_MAX = 200
"""Longer paths and values of custom_data cannot be looked up by."""

VALUES_MAX = 64
"""Values of one custom_data that can be looked up by; the rest is kept, but not indexed."""


def flatten(value: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Each field of `value` with what it holds, in the order given. An empty object is a value."""
    return _flatten(value, prefix, DEPTH_MAX)


def _flatten(value: Mapping[str, Json], prefix: str, depth: int) -> Iterator[tuple[str, Json]]:
    for key, item in value.items():
        if item.__class__ is dict and item and depth > 1:
            yield from _flatten(item, f"{prefix}{key}.", depth - 1)
        else:
            yield prefix + key, item


def field_names(value: Mapping[str, Json]) -> tuple[str, ...]:
    """The names of `flatten`; quick where no object is nested, which is most of the time."""
    if dict in map(type, value.values()):
        return tuple([name for name, _ in flatten(value)])
    return tuple(value)


def lookup_values(custom_data: Json) -> list[tuple[str, str]]:
    """(path, value) pairs by which a `custom_data` can be found, at most `VALUES_MAX`.

    Values are text as it is, other scalars as JSON; of a list, each scalar counts.
    """
    if not isinstance(custom_data, dict):
        return [("", text)] if (text := _lookup_text(custom_data)) is not None else []
    pairs: dict[tuple[str, str], None] = {}
    for path, value in flatten(custom_data):
        if len(path) > VALUE_LENGTH_MAX:
            continue
        for item in value if isinstance(value, list) else (value,):
            text = _lookup_text(item)
            if text is not None:
                pairs[path, text] = None
                if len(pairs) == VALUES_MAX:
                    return list(pairs)
    return list(pairs)


def _lookup_text(value: Json) -> str | None:
    if value.__class__ is str:
        return value if len(value) <= VALUE_LENGTH_MAX else None
    if value is None or isinstance(value, (dict, list)):
        return None
    return canonical(value).decode()
