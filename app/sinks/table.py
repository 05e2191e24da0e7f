"""What tables share: which column a field has, of which type, and how a result becomes a row.

A table has a column for each field, as a CSV file has. Which one is kept in a table beside it,
`<table>__columns`, with the kinds of values that the field has held: so names stay as they are,
and a type follows from all values ever written. `<table>__runs` has the version of each run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from app.canonical import Json, canonical, parse
from app.export.column_types import column_types
from app.export.plans import Plans
from app.export.records import RESULT_OWN_COLUMNS, RESULT_SECTIONS, Result, result_own
from app.kinds import Kinds
from app.sinks.location import SinkError
from app.store.views import Fields

TableType = Literal["text", "boolean", "integer", "real", "time", "json"]

RUN_COLUMN, RESULT_COLUMN, RECEIVED_COLUMN = RESULT_OWN_COLUMNS
KEY = (RUN_COLUMN, RESULT_COLUMN)
"""The primary key of a table: a result has the same one, however often it is written."""

MORE = "_more"
"""The column, of JSON, for fields beyond the number of columns that a table can have."""

_MORE_FIELD = "\\_more"  # unlike any field, see `data_column`
_OWN: dict[str, Kinds] = {RUN_COLUMN: Kinds.TEXT, RESULT_COLUMN: Kinds.TEXT}
_OWN |= {RECEIVED_COLUMN: Kinds.TIME}
_JSON = Kinds.LIST | Kinds.OBJECT
_DIGEST_LETTERS = 8

RUNS_SUFFIX, COLUMNS_SUFFIX = "__runs", "__columns"


class Dialect(NamedTuple):
    """What a database can do, and how it spells it."""

    name: str
    types: Mapping[TableType, str]
    """As the database names them itself."""
    columns_max: int
    name_bytes_max: int | None
    folds_case: bool
    """Whether names that differ in case alone are the same."""
    holds_nul: bool
    """Whether texts may have NUL characters."""
    reserved: frozenset[str] = frozenset()
    """Names that no column may have."""
    has_times: bool = False
    """Whether the driver takes times as such, rather than as texts."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field's place in a table."""

    field: str
    """As files call it."""
    name: str | None
    """None if it is in `_more`."""
    kinds: Kinds

    @property
    def type(self) -> TableType:
        """Follows from what it has held."""
        return type_of(self.kinds)


class Change(NamedTuple):
    """Something to be done to a table, and noted in its `__columns`."""

    column: Column
    was: TableType | None
    """Of which type it was; None if it was not known."""
    is_there: bool
    """Whether the table has such a column already."""

    @property
    def adds(self) -> bool:
        """Whether the table needs another column."""
        return not self.is_there and self.column.name is not None

    @property
    def alters(self) -> bool:
        """Whether the column needs another type."""
        return self.is_there and self.was is not None and self.was != self.column.type

    @property
    def respells(self) -> bool:
        """Whether what it holds is only cast, not spelled as it was in the data."""
        return self.alters and self.was in {"real", "time", "json"}


def type_of(kinds: Kinds) -> TableType:
    """The type that holds all values of these kinds exactly."""
    held = kinds & ~Kinds.NULL
    if held and not held & ~_JSON:
        return "json"
    found = column_types({"": kinds}, {})[""]
    return found if isinstance(found, str) else "json"


class Layout:
    """The columns of one table."""

    def __init__(
        self,
        dialect: Dialect,
        table: str,
        known: Iterable[tuple[str, str | None, int]],
        there: Mapping[str, str],
        *,
        is_adopted: bool = False,
    ) -> None:
        """`known` is what `__columns` says: field, name, kinds. `there` are all columns that the
        table has, with their types; it `is_adopted` if somebody else made it.
        """
        self.columns = {name: Column(name, column, Kinds(kinds)) for name, column, kinds in known}
        self._dialect = dialect
        self._table = table
        self._there = dict(there)
        self._is_adopted = is_adopted

    def changes(self, fields: Fields) -> list[Change]:
        """What is to be done so that the table can hold these fields.

        Raises SinkError if what is there, and not ours, stands in the way.
        """
        wanted = dict(_OWN)
        for section in RESULT_SECTIONS:
            for name, kinds in fields.kinds[section.name].items():
                wanted[section.column(name)] = kinds
        taken = {self._folded(name) for name in self._names()} | {self._folded(MORE)}
        found: list[Change] = []
        for name, kinds in wanted.items():
            known = self.columns.get(name)
            if known is not None:
                grown = known.kinds | kinds
                if grown != known.kinds:
                    self._refuse_altering(known, grown)
                    is_there = known.name is not None
                    found.append(Change(replace(known, kinds=grown), known.type, is_there))
                continue
            change = self._placed(name, kinds, taken)
            if change.column.name is None and not any(
                other.field == _MORE_FIELD for other in (*self.columns.values(), *_of(found))
            ):
                more = Column(_MORE_FIELD, MORE, Kinds.OBJECT)
                found.append(Change(more, None, is_there=False))
            found.append(change)
        return found

    def apply(self, changes: Iterable[Change]) -> None:
        """These were made."""
        for change in changes:
            column = change.column
            self.columns[column.field] = column
            if column.name is not None and change.adds:
                self._there[column.name] = self._dialect.types[column.type]

    @property
    def stamp(self) -> tuple[int, int]:
        """Changes with every change that anybody makes: kinds only add up."""
        return len(self.columns), sum(int(column.kinds) for column in self.columns.values())

    def columns_there(self) -> list[Column]:
        """Those that rows have a cell for, the key first; `_more` last if there is one."""
        own = [self.columns[name] for name in RESULT_OWN_COLUMNS]
        others = [
            column
            for column in self.columns.values()
            if column.name is not None and column.field not in _OWN and column.field != _MORE_FIELD
        ]
        return own + others + [one for one in self.columns.values() if one.field == _MORE_FIELD]

    def overflow(self) -> list[Column]:
        """Those whose values go into `_more`."""
        return [column for column in self.columns.values() if column.name is None]

    def _names(self) -> set[str]:
        """All names of columns that the table has, ours and others'."""
        known = {column.name for column in self.columns.values() if column.name is not None}
        return known | set(self._there)

    def _folded(self, name: str) -> str:
        return name.casefold() if self._dialect.folds_case else name

    def _placed(self, name: str, kinds: Kinds, taken: set[str]) -> Change:
        """A field that is new to the table."""
        dialect = self._dialect
        if self._is_adopted and name in self._there:
            wanted = dialect.types[type_of(kinds)]
            if self._there[name].upper() != wanted.upper():
                raise SinkError(
                    f"the column {name!r} of table {self._table} has the type"
                    f" {self._there[name] or 'none'}, and would need {wanted or 'none'} for what"
                    " is in the data. The table was not made by this command, so that it is left"
                    " alone: change the column's type or name, or name another table"
                )
            return Change(Column(name, name, kinds), None, is_there=True)
        if len(taken) >= dialect.columns_max:
            return Change(Column(name, None, kinds), None, is_there=False)
        spelled = column_name(name, dialect)
        if self._folded(spelled) in taken:
            spelled = column_name(name, dialect, is_marked=True)
        if self._folded(spelled) in taken:
            raise SinkError(f"table {self._table} has a column {spelled!r} that is not ours")
        taken.add(self._folded(spelled))
        return Change(Column(name, spelled, kinds), None, is_there=False)

    def _refuse_altering(self, known: Column, kinds: Kinds) -> None:
        if self._is_adopted and known.name is not None and type_of(kinds) != known.type:
            raise SinkError(
                f"the column {known.name!r} of table {self._table} is {known.type}, and there is"
                f" {type_of(kinds)} to be written. The table was not made by this command, so"
                " that its columns are not altered: change the type, or name another table"
            )


def _of(changes: Iterable[Change]) -> list[Column]:
    return [change.column for change in changes]


def column_name(name: str, dialect: Dialect, *, is_marked: bool = False) -> str:
    """What the column of a field is called: as the field, where the database can do that.

    What had to be changed, or `is_marked` since another column has that name, ends in a digest
    of the field, so that it does not depend on which came first.
    """
    spelled = name.replace("\0", "\ufffd")
    is_marked = is_marked or not spelled or spelled != name or spelled in dialect.reserved
    length_max = dialect.name_bytes_max
    if length_max is not None and len(spelled.encode()) > length_max:
        is_marked = True
    if not is_marked:
        return spelled
    mark = "_" + sha256(name.encode()).hexdigest()[:_DIGEST_LETTERS]
    if length_max is not None:
        spelled = spelled.encode()[: length_max - len(mark)].decode(errors="ignore")
    return spelled + mark


def quoted(*names: str) -> str:
    """A name in SQL, whatever is in it; of several, such as schema and table, with dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def spelled_field(name: str) -> str:
    """A field as `__columns` has it: as JSON, which also spells what no text can hold."""
    return canonical(name).decode()


def read_field(text: str) -> str:
    """The field that `spelled_field` wrote."""
    return str(parse(text.encode()))


def told(change: Change) -> str | None:
    """What users should hear of a change; None if nothing."""
    column = change.column
    if change.alters:
        return f"column {column.name!r}: {change.was} became {column.type}"
    if change.was is None and column.name is None:
        return f"no room for a column {column.field!r}: its values are in {MORE}"
    return None


@dataclass(slots=True)
class Rows:
    """Makes rows of results: a cell for each of `Layout.columns_there`."""

    layout: Layout
    dialect: Dialect
    replaced: int = 0
    """NUL characters that were written as U+FFFD, since the database cannot hold them."""
    _plans: Plans[Json] = field(init=False)
    _cells: list[Callable[[Json], Any]] = field(init=False)
    _overflow: list[str] = field(init=False)

    def __post_init__(self) -> None:
        columns = [one for one in self.layout.columns_there() if one.field != _MORE_FIELD]
        self._overflow = [one.field for one in self.layout.overflow()]
        self._cells = [self._cell(column.type) for column in columns]
        names = [column.field for column in columns] + self._overflow
        self._plans = Plans(names, RESULT_SECTIONS, RESULT_OWN_COLUMNS, lambda values: values)

    def of(self, results: Sequence[Result]) -> list[tuple[Any, ...]]:
        """The rows of these results."""
        return [self._row(result) for result in results]

    def _row(self, result: Result) -> tuple[Any, ...]:
        sections = (result.data, result.custom_data, result.input)
        values = self._plans.cells(sections, result_own(result))
        cells = [
            None if value is None else cell(value)
            for cell, value in zip(self._cells, values, strict=False)
        ]
        if self._overflow:
            rest = zip(self._overflow, values[len(cells) :], strict=True)
            more = {name: value for name, value in rest if value is not None}
            cells.append(self._json(more) if more else None)
        return tuple(cells)

    def _cell(self, column_type: TableType) -> Callable[[Json], Any]:
        if column_type == "text":
            return self._text
        if column_type == "json":
            return self._json
        if column_type == "real":
            return float
        if column_type == "time" and self.dialect.has_times:
            return datetime.fromisoformat
        return lambda value: value

    def _text(self, value: Json) -> str:
        if value.__class__ is not str:
            return self._json(value)
        if "\0" in value and not self.dialect.holds_nul:
            self.replaced += value.count("\0")
            return str(value.replace("\0", "\ufffd"))
        return str(value)

    def _json(self, value: Json) -> str:
        text = canonical(value)
        if b"\\u0000" in text and not self.dialect.holds_nul:
            text = canonical(self._without_nul(value))
        return text.decode()

    def _without_nul(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._without_nul(item) for item in value]
        if isinstance(value, dict):
            found: dict[str, Json] = {}
            for key, item in value.items():
                name = self._text(key)
                while name in found or (name != key and name in value):
                    name += "\ufffd"
                found[name] = self._without_nul(item)
            return found
        return value

    def notes(self) -> tuple[str, ...]:
        """What users should know of the rows that were made."""
        if not self.replaced:
            return ()
        note = (
            f"{self.replaced:,} NUL characters, which {self.dialect.name} cannot hold, are U+FFFD"
        )
        return (note,)


def refuse_foreign(shown: str, columns: Iterable[str]) -> None:
    """Raise SinkError if a table that somebody else made has no place for our key."""
    if missing := [name for name in KEY if name not in set(columns)]:
        raise SinkError(
            f"{shown} is there already, was not made by this command, and has no column"
            f" {' and no '.join(missing)}: name another table, or give it the columns"
            f" {RUN_COLUMN} and {RESULT_COLUMN} (text) with a primary key on both"
        )


def no_key(shown: str) -> SinkError:
    """What is raised for a table of somebody else's in which results could come twice."""
    return SinkError(
        f"{shown} was not made by this command, and has no primary key or unique index on"
        f" ({RUN_COLUMN}, {RESULT_COLUMN}): add one, or name another table"
    )
