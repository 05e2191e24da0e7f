"""Fields of nested objects as flat names: what a column of a table is called.

`{"a": {"b": 1}, "c": [1]}` has the fields `a.b` and `c`: objects open up, lists stay whole.
A dot or a backslash that belongs to a name has a backslash before it, so that `{"a.b": 1}` is
the field `a\\.b`: two fields never share a name, and an object can be told from its fields.
"""

from collections.abc import Callable, Iterator, Mapping

from app.canonical import Json, canonical

DEPTH_MAX = 16
"""Objects nested deeper than this stay whole, as lists do."""

VALUE_LENGTH_MAX = 200
"""Longer paths and values of custom_data cannot be looked up by."""

VALUES_MAX = 64
"""Values of one custom_data that can be looked up by; the rest is kept, but not indexed."""


def escaped(name: str) -> str:
    """`name` as a part of a field's name: without a dot that could be taken for a level."""
    if "." in name or "\\" in name:
        return name.replace("\\", "\\\\").replace(".", "\\.")
    return name


def plain(name: str) -> str:
    """A field's name as people write it, without escapes; two fields may share it."""
    # In this order, which is right however dots and backslashes mix: n backslashes before a dot
    # are 2n before one that separates, and 2n + 1 before one that belongs to the name.
    return name.replace("\\.", ".").replace("\\\\", "\\") if "\\" in name else name


def parts(name: str) -> tuple[str, ...]:
    """The keys that lead to a field, by its name: the other way round than `escaped`."""
    if "\\" not in name:
        return tuple(name.split("."))
    found, part, letters = [], "", iter(name)
    for letter in letters:
        if letter == ".":
            found.append(part)
            part = ""
        else:
            part += next(letters, "") if letter == "\\" else letter
    return (*found, part)


def flatten(value: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Each field of `value` with what it holds, in the order given. An empty object is a value."""
    return _flatten(value, prefix, DEPTH_MAX, escaped)


def _flatten(
    value: Mapping[str, Json], prefix: str, depth: int, spelled: Callable[[str], str]
) -> Iterator[tuple[str, Json]]:
    for key, item in value.items():
        if item.__class__ is dict and item and depth > 1:
            yield from _flatten(item, f"{prefix}{spelled(key)}.", depth - 1, spelled)
        else:
            yield prefix + spelled(key), item


def lookup_values(custom_data: Json) -> list[tuple[str, str]]:
    """(path, value) pairs by which a `custom_data` can be found, at most `VALUES_MAX`.

    Values are text as it is, other scalars as JSON; of a list, each scalar counts. Paths are
    as people write them, without escapes: of two fields that share one, either is found.
    """
    if not isinstance(custom_data, dict):
        return [("", text)] if (text := _lookup_text(custom_data)) is not None else []
    pairs: dict[tuple[str, str], None] = {}
    for path, value in _flatten(custom_data, "", DEPTH_MAX, str):
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
