"""Rows of a table by a plan: rows alike in outline are laid out alike, so that is found out once.

A row's values are poured into one list, object by object. Which keys each object had is the
row's outline, and an outline's plan says where in that list the value of each column is. So most
rows cost a look-up and a pass in C, instead of a walk that composes a name for each field.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from operator import is_, itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from app.canonical import Json
from app.fields import DEPTH_MAX, escaped, plain

_Part = tuple[int, tuple[str, ...]]
Outline = tuple[_Part, ...]
"""Of each object: whose it is, and its keys. ~n is the n-th section's, n that of the n-th value."""

_PLACES_MAX = 200_000
"""How many places all plans of a table may hold, which takes some MB. Then they are made anew."""


Cell = TypeVar("Cell")


class Section(NamedTuple):
    """A part of a row that opens up into columns, such as its `input`."""

    name: str
    column: Callable[[str], str]
    """The column of a field of it."""


Plan = Callable[[Sequence[Any]], Sequence[Any]]
"""Takes what belongs to each column, in turn, out of as many as there are values in a row."""

Poured = tuple[Sequence[Json], Sequence[Json]]
"""A row: the values of its sections, and its own."""

AsCells = Callable[[Sequence[Json]], Sequence[Cell]]

_PLAIN = ("value",)
"""The keys of what is no object: that is how its column is called."""

_ALIKE_MIN = 4
"""Of fewer rows that are alike, each is laid out by itself."""


class OpensUpError(Exception):
    """Among the values of a column are objects, which may have columns of their own."""


class Plans(Generic[Cell]):
    """Makes the cells of rows, in the order of `columns`. Fields without a column are left out."""

    def __init__(
        self,
        columns: Collection[str],
        sections: Sequence[Section],
        own: Sequence[str],
        as_cells: AsCells[Cell],
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
        self._opening: set[Outline] = set()
        """Where objects were found: of rows like these, each is laid out by itself."""
        self._plans: dict[Outline, Plan] = {}
        self._plans_max = max(1, _PLACES_MAX // len(columns))

    def cells(self, sections: Sequence[Json], own: Sequence[Json]) -> Sequence[Cell]:
        """The cells of a row."""
        values: list[Json] = []
        outline: list[_Part] = []
        for number, value in enumerate(sections):
            if value.__class__ is dict:
                _pour(value, ~number, values, outline, DEPTH_MAX)
            elif value is not None:
                outline.append((~number, _PLAIN))
                values.append(value)
        values += own
        values.append(None)  # for columns that this row does not have
        return self._plan(tuple(outline))(self._as_cells(values))

    def many(self, rows: Sequence[Poured], as_column: AsCells[Cell]) -> list[Sequence[Cell]]:
        """The cells of some rows: of those that are alike, column by column.

        `as_column` makes the cells of one column, or raises OpensUpError if there are objects with
        anything in them.
        """
        found: list[Sequence[Cell]] = [()] * len(rows)
        for outline, places in self._alike(rows).items():
            cells: Iterable[Sequence[Cell]]
            some = [rows[place] for place in places]
            if len(some) < _ALIKE_MIN or outline in self._opening:
                cells = [self.cells(*row) for row in some]
            else:
                try:
                    columns = list(map(as_column, _columns(outline, some)))
                except OpensUpError:
                    self._opening.add(outline)
                    cells = [self.cells(*row) for row in some]
                else:
                    cells = zip(*self._plan(outline)(columns), strict=True)
            for place, line in zip(places, cells, strict=True):
                found[place] = line
        return found

    def _alike(self, rows: Iterable[Poured]) -> dict[Outline, list[int]]:
        """Which rows have which outline, as long as nothing is opened."""
        found: dict[Outline, list[int]] = {}
        rest: Sequence[Json] = ()
        outline_of_rest: Outline = ()
        for place, (sections, _) in enumerate(rows):
            first, others = sections[0], sections[1:]
            if not (
                rest and all(map(is_, others, rest))
            ):  # all results of a callback have the same
                rest = others
                outline_of_rest = _closed(rest, 1)
            outline = (
                ((~0, tuple(first)), *outline_of_rest)
                if first.__class__ is dict
                else _closed((first,), 0) + outline_of_rest
            )
            if outline in found:
                found[outline].append(place)
            else:
                found[outline] = [place]
        return found

    def _plan(self, outline: Outline) -> Plan:
        plan = self._plans.get(outline)
        if plan is None:
            if len(self._plans) >= self._plans_max:
                self._plans.clear()
                self._opening.clear()
            plan = self._plans[outline] = self._compiled(outline)
        return plan

    def _compiled(self, outline: Outline) -> Plan:
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


def _closed(sections: Sequence[Json], start: int) -> Outline:
    """The outline of some sections, from the one with this number on, with nothing opened."""
    return tuple(
        (~number, tuple(value) if value.__class__ is dict else _PLAIN)
        for number, value in enumerate(sections, start)
        if value is not None
    )


def _columns(outline: Outline, rows: Sequence[Poured]) -> Iterator[Sequence[Json]]:
    """What is poured out of rows with this outline, place by place instead of row by row."""
    for whose, keys in outline:
        values = [sections[~whose] for sections, _ in rows]
        if keys == _PLAIN:  # or objects with that one key
            yield [value["value"] if value.__class__ is dict else value for value in values]
        else:
            yield from zip(*[value.values() for value in values], strict=True)
    yield from zip(*[own for _, own in rows], strict=True)
    yield [None] * len(rows)  # for columns that these rows do not have


def _pour(
    value: dict[str, Json],
    whose: int,
    values: list[Json],
    outline: list[_Part],
    depth: int,
) -> None:
    """Add the values of an object and of those in it, and to the outline whose they are."""
    start = len(values)
    values += value.values()
    outline.append((whose, tuple(value)))
    if depth > 1 and dict in set(map(type, value.values())):
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
