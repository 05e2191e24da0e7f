"""The type of a column, from the kinds of all its values: exact, or else text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from app.kinds import Kinds, Path

Scalar = Literal["text", "boolean", "integer", "real", "time"]


@dataclass(frozen=True, slots=True)
class ListType:
    """A list of items of one type."""

    item: "ColumnType"


@dataclass(frozen=True, slots=True)
class StructType:
    """An object, by the names of its members as they are in the data; never empty."""

    members: tuple[tuple[str, "ColumnType"], ...]


ColumnType = Scalar | ListType | StructType
"""`integer` has 64 bits, `real` is a double, `time` is in UTC, exact to the microsecond.

`text` holds texts as they are and any other value as its canonical JSON: it is also the type of
what is mixed, beyond 64 bits, nested too deep, or never was anything but null.
"""

Columns = dict[str, ColumnType]
"""The columns of a table by name, in their order."""

_SCALARS: tuple[tuple[Scalar, Kinds], ...] = (
    ("boolean", Kinds.BOOLEAN),
    ("integer", Kinds.INTEGER),
    ("real", Kinds.SMALL_INTEGER | Kinds.REAL),
    ("time", Kinds.TIME),
)
"""The narrowest first, each with the kinds that it holds exactly."""


def column_types(fields: Mapping[str, Kinds], within: Mapping[Path, Kinds]) -> Columns:
    """The type of each of `fields` by what it has held; `within` says what was in their lists."""
    members = members_of(within)
    return {name: _type_of((name,), kinds, within, members) for name, kinds in fields.items()}


def members_of(within: Iterable[Path]) -> dict[Path, list[str]]:
    """The keys of the objects that are within lists, by where these are."""
    members: dict[Path, list[str]] = {}
    for path in within:
        if path[-1] is not None:
            members.setdefault(path[:-1], []).append(path[-1])
    return members


def _type_of(
    path: Path, kinds: Kinds, within: Mapping[Path, Kinds], members: Mapping[Path, list[str]]
) -> ColumnType:
    held = kinds & ~Kinds.NULL
    for scalar, holds in _SCALARS:
        if held and not held & ~holds:
            return scalar
    if held == Kinds.LIST:
        item = (*path, None)
        return ListType(_type_of(item, within.get(item, Kinds.NULL), within, members))
    if held == Kinds.OBJECT and path in members:
        return StructType(
            tuple(
                (key, _type_of((*path, key), within[*path, key], within, members))
                for key in sorted(members[path])
            )
        )
    return "text"
