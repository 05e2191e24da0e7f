"""Rows of a table by a plan: rows alike in outline are laid out alike, so that is found out once.

A row's values are poured into one list, object by object. Which keys each object had is the
row's outline, and an outline's plan says where in that list the value of each column is. So most
rows cost a look-up and a pass in C, instead of a walk that composes a name for each field.
"""

from collections.abc import Callable, Collection, Sequence
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from app.canonical import Json
from app.fields import DEPTH_MAX, escaped, plain

Outline = tuple[tuple[int, tuple[str, ...]], ...]
"""Of each object: whose it is, and its keys. ~n is the n-th section's, n that of the n-th value."""

_PLACES_MAX = 200_000
"""How many places all plans of a table may hold, which takes some MB. Then they are made anew."""


Cell = TypeVar("Cell")


class Section(NamedTuple):
    """A part of a row that opens up into columns, such as its `input`."""

    name: str
    column: Callable[[str], str]
    """The column of a field of it."""


class Plans(Generic[Cell]):
    """Makes the cells of rows, in the order of `columns`. Fields without a column are left out."""

    def __init__(
        self,
        columns: Collection[str],
        sections: Sequence[Section],
        own: Sequence[str],
        as_cells: Callable[[Sequence[Json]], Sequence[Cell]],
    ) -> None:
        """A row has a value for each of `sections` and for each column in `own`.

        `as_cells` turns values into as many cells; objects that have opened up are None there.
        """
        self._columns = columns
        self._numbers = {name: number for number, name in enumerate(columns)}
        self._found: dict[tuple[int, str], int] = {}
        self._sections = sections
        self._own = own
        self._as_cells = as_cells
        self._plans: dict[Outline, Callable[[Sequence[Cell]], Sequence[Cell]]] = {}
        self._plans_max = max(1, _PLACES_MAX // len(columns))

    def cells(self, sections: Sequence[Json], own: Sequence[Json]) -> Sequence[Cell]:
        """The cells of a row."""
        values: list[Json] = []
        outline: list[tuple[int, tuple[str, ...]]] = []
        for number, value in enumerate(sections):
            if value.__class__ is dict:
                _pour(value, ~number, values, outline, DEPTH_MAX)
            elif value is not None:
                outline.append((~number, ("value",)))
                values.append(value)
        values += own
        values.append(None)  # for columns that this row does not have
        key = tuple(outline)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= self._plans_max:
                self._plans.clear()
            plan = self._plans[key] = self._compiled(key)
        return plan(self._as_cells(values))

    def _compiled(self, outline: Outline) -> Callable[[Sequence[Cell]], Sequence[Cell]]:
        fields = _fields(outline)
        nothing = len(fields) + len(self._own)
        found = [nothing] * len(self._columns)
        for place, field in enumerate(fields):
            number = self._found.get(field)
            if number is not None or (number := self._number(*field)) is not None:
                found[number] = place
            elif (number := self._number(field[0], plain(field[1]))) is not None:
                # A catalogue of before names were escaped; what has its own name comes first.
                found[number] = place if found[number] == nothing else found[number]
        for place, name in enumerate(self._own, len(fields)):
            if name in self._numbers:
                found[self._numbers[name]] = place
        if len(found) == 1:  # of one, itemgetter makes no tuple
            return lambda cells: (cells[found[0]],)
        return itemgetter(*found)

    def _number(self, section: int, name: str) -> int | None:
        """Which column a field has; kept, for where most rows have an outline of their own."""
        number = self._numbers.get(self._sections[section].column(name))
        if number is not None:
            self._found[section, name] = number
        return number


def _pour(
    value: dict[str, Json],
    whose: int,
    values: list[Json],
    outline: list[tuple[int, tuple[str, ...]]],
    depth: int,
) -> None:
    """Add the values of an object and of those in it, and to the outline whose they are."""
    start = len(values)
    values += value.values()
    outline.append((whose, tuple(value)))
    if depth > 1 and dict in map(type, value.values()):
        for place, item in enumerate(value.values(), start):
            if item.__class__ is dict and item:
                values[place] = None
                _pour(item, place, values, outline, depth - 1)


def _fields(outline: Outline) -> list[tuple[int, str]]:
    """For each value that was poured, the number of its section and its field's name."""
    found: list[tuple[int, str]] = []
    for whose, keys in outline:
        section, prefix = (~whose, "") if whose < 0 else (found[whose][0], found[whose][1] + ".")
        found += [(section, prefix + escaped(key)) for key in keys]
    return found
