"""Which fields are wanted: by the names of columns, also where rows are nested records."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from app.canonical import Json
from app.export.column_types import Columns
from app.export.layouts import Layout, Values
from app.fields import parts

NEAR_ONES: Final = 3
NAMES_TOLD: Final = 5
_NAME_LENGTH_MAX: Final = 100
"""Longer names are compared with no others."""


class SelectionError(ValueError):
    """What is asked for cannot be had; `parameter` is what of it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


def listed(parameter: str, given: Iterable[str], columns: Columns, own: Sequence[str]) -> list[str]:
    """The names in texts that each hold one, or several with commas between.

    Names are columns, or objects that opened up into columns. Raises SelectionError for others,
    unless there are no fields yet but our `own`.
    """
    names: list[str] = []
    for text in given:
        if columns_of(text, columns):
            names.append(text)
        else:
            names += [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in names if not columns_of(name, columns)]
    if unknown and columns.keys() - set(own):
        raise SelectionError(parameter, unknown_fields(unknown, columns))
    return list(dict.fromkeys(names))


def columns_of(name: str, columns: Iterable[str]) -> list[str]:
    """The columns that a name stands for: that one, and those of what is in it."""
    inner = f"{name}."
    return [column for column in columns if column == name or column.startswith(inner)]


def unknown_fields(names: Sequence[str], columns: Iterable[str]) -> str:
    """Says that there are no such fields, and which may be meant."""
    known = list(columns)
    told = [f"{name}{_near(name, known)}" for name in names[:NAMES_TOLD]]
    if len(names) > NAMES_TOLD:
        told.append(f"and {len(names) - NAMES_TOLD} more")
    return "no such field: " + "; ".join(told)


def _near(name: str, columns: list[str]) -> str:
    if len(name) > _NAME_LENGTH_MAX:
        return ""
    same_end = [column for column in columns if column.endswith(f".{name}")]
    groups = {column.rpartition(".")[0] for column in columns} - {""}
    near = get_close_matches(name, [*columns, *sorted(groups)], NEAR_ONES)
    found = list(dict.fromkeys([*same_end, *near]))[:NEAR_ONES]
    return f" (is it {' or '.join(found)}?)" if found else ""


class Place(NamedTuple):
    """Where a name leads in nested rows: to a section, and there along these keys."""

    section: str
    """`data`, `custom_data` or `input`; "" for a column of our own."""
    path: tuple[str, ...]


def places_of(name: str, layout: Layout[Any]) -> list[Place]:
    """All that a name may mean; the first is what is a column, if there is one."""
    if name in layout.own:
        return [Place("", (name,))]
    for section in ("custom_data", "input"):
        if name.startswith(f"{section}."):
            return [Place(section, parts(name.removeprefix(f"{section}.")))]
        if name == section:
            return [Place(section, ()), Place("data", (name,))]
    of_own = any(own.startswith(f"{name}.") for own in layout.own)
    is_marked = name[:1] == "\\" and name[1:2] not in (".", "\\")  # as `data_section` does
    data = Place("data", parts(name[1:] if is_marked else name))
    return [Place("", (name,)), data] if of_own else [data]


_Tree = dict[str, Any] | None
"""By key what is below it; None: all."""
_NOTHING: Final = object()


def _planted(paths: Iterable[Sequence[str]]) -> _Tree:
    tree: dict[str, Any] = {}
    for path in paths:
        if not path:
            return None
        inner, (*above, last) = tree, path
        for key in above:
            inner = inner.setdefault(key, {})
            if inner is None:
                break
        else:
            inner[last] = None
    return tree


def _kept(value: Json, tree: _Tree, *, is_root: bool = False) -> Json:
    if tree is None:
        return value
    if value.__class__ is not dict:
        return value if is_root and "value" in tree else _NOTHING
    found = {
        key: inner
        for key, below in tree.items()
        if key in value and (inner := _kept(value[key], below)) is not _NOTHING
    }
    return found if found or is_root else _NOTHING


def _left(value: Json, tree: _Tree, *, is_root: bool = False) -> Json:
    if tree is None:
        return _NOTHING
    if value.__class__ is not dict:
        return None if is_root and tree.get("value", value) is None else value
    found = {}
    for key, item in value.items():
        inner = _left(item, tree[key]) if key in tree else item
        if inner is not _NOTHING:
            found[key] = inner
    return found if found or is_root or not value else _NOTHING


class ChosenFields:
    """What of rows is wanted: `fields` alone, if any are named, and not what `omit` names."""

    def __init__(
        self, layout: Layout[Any], columns: Columns, fields: Sequence[str], omit: Sequence[str]
    ) -> None:
        """`columns` are all of the flat shape. Raises SelectionError."""
        self._fields = listed("fields", fields, columns, layout.own)
        self._omit = listed("omit", omit, columns, layout.own)
        self._layout = layout
        left_out = {column for name in self._omit for column in columns_of(name, columns)}
        wanted = dict.fromkeys(columns)
        if self._fields:
            wanted = dict.fromkeys(
                column
                for name in self._fields
                for column in columns_of(name, columns) or [name]  # or there are no fields yet
            )
        self.columns: Columns = {
            name: columns.get(name, "text") for name in wanted if name not in left_out
        }
        if not self.columns:
            raise SelectionError("omit" if self._omit else "fields", "nothing is left")

    def record_columns(self) -> list[str]:
        """The members of records that are left."""
        return [name for name in self._layout.record_columns if name not in self._members_gone()]

    def _members_gone(self) -> set[str]:
        gone = set()
        own = [name for name in self._layout.own if name not in self.columns]
        omitted = {c for name in self._omit for c in columns_of(name, self._layout.own)}
        for name in own:
            group, dot, _ = name.partition(".")
            whole = columns_of(group, self._layout.own) if dot else [name]
            if omitted.issuperset(whole):
                gone.add(group.removeprefix("_"))
        for section in self._layout.sections:
            kept, dropped = self._trees(section.name)
            if kept == {} or dropped is None:
                gone.add(section.name)
        return gone

    def _trees(self, section: str) -> tuple[_Tree, _Tree]:
        """What to keep of a section, and what to leave out of that."""
        kept: _Tree = None
        if self._fields:
            kept = _planted(self._paths(self._fields, section))
        return kept, _planted(self._paths(self._omit, section))

    def _paths(self, names: Iterable[str], section: str) -> list[tuple[str, ...]]:
        places = [place for name in names for place in places_of(name, self._layout)]
        return [place.path for place in places if place.section == section]

    def pruned(self) -> Callable[[Values], Values]:
        """Leaves of the values of a row's sections what is wanted."""
        trees = [self._trees(section.name) for section in self._layout.sections]

        def prune(values: Values) -> Values:
            return tuple(
                [
                    _pruned(value, kept, left_out)
                    for value, (kept, left_out) in zip(values, trees, strict=True)
                ]
            )

        return prune


def _pruned(value: Json, kept: _Tree, left_out: _Tree) -> Json:
    if value is None:
        return None
    found = _kept(value, kept, is_root=True)
    if found is not _NOTHING and left_out != {}:
        found = _left(found, left_out, is_root=True)
    return None if found is _NOTHING else found
