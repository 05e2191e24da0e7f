"""Columns of a table as Arrow arrays, typed as `app.export.column_types` says.

A type is a promise about every value, so one that does not keep it is refused, never bent: a
file with a wrong value would look as good as a right one. Needs the extra `parquet`.
"""

from collections.abc import Sequence
from itertools import accumulate, chain

import pyarrow as pa
import pyarrow.compute as pc

from app.canonical import Json, canonical
from app.export.column_types import ColumnType, ListType, Scalar, StructType
from app.kinds import EXACT_MAX, TIME

_SCALARS: dict[Scalar, pa.DataType] = {
    "text": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "time": pa.timestamp("us", tz="UTC"),
}
_HELD: dict[Scalar, set[type]] = {
    "boolean": {bool},
    "integer": {int},
    "real": {int, float},
    "time": {str},
}
"""Of Python's types; `text` holds any."""

_ONLY_TEXTS = {str}
_NOT_ONE = type(None)


class MisfitError(ValueError):
    """A value that its column's type does not hold."""


def arrow_type(column: ColumnType, scalars: dict[Scalar, pa.DataType] = _SCALARS) -> pa.DataType:
    """The type of a column's array."""
    if isinstance(column, ListType):
        return pa.list_(arrow_type(column.item, scalars))
    if isinstance(column, StructType):
        return pa.struct([(key, arrow_type(member, scalars)) for key, member in column.members])
    return scalars[column]


def array_of(values: Sequence[Json], column: ColumnType) -> pa.Array:
    """Values as they come from JSON. Raises MisfitError if one is of another type."""
    kinds = set(map(type, values))
    has_nulls = _NOT_ONE in kinds
    kinds.discard(_NOT_ONE)
    if isinstance(column, ListType):
        _refuse_other(kinds, {list}, values)
        return _lists(values, column, has_nulls=has_nulls)
    if isinstance(column, StructType):
        _refuse_other(kinds, {dict}, values)
        return _structs(values, column, has_nulls=has_nulls)
    if column == "text":
        return pa.array(values if kinds <= _ONLY_TEXTS else list(map(_text, values)), pa.string())
    _refuse_other(kinds, _HELD[column], values)
    if column == "time":
        return times(pa.array(values, pa.string()))
    if column == "real" and int in kinds:  # which Arrow would round
        for value in values:
            if value.__class__ is int and abs(value) > EXACT_MAX:
                raise MisfitError("a whole number is too large for a double to be exact")
    try:
        return pa.array(values, _SCALARS[column])
    except (pa.ArrowInvalid, OverflowError) as error:
        raise MisfitError(str(error)) from None


def times(texts: pa.Array) -> pa.Array:
    """Texts as times. Raises MisfitError if one is no time in UTC, exact to the microsecond."""
    # Arrow reads more than that, such as dates alone, of which a time says too much.
    if pc.all(pc.match_substring_regex(texts, f"^(?:{TIME.pattern})$")).as_py() is not False:
        try:
            return texts.cast(_SCALARS["time"])
        except pa.ArrowInvalid as error:
            raise MisfitError(str(error)) from None
    raise MisfitError("a text is not a time in UTC")


def _lists(values: Sequence[Json], column: ListType, *, has_nulls: bool) -> pa.Array:
    ends = accumulate([len(value) if value else 0 for value in values], initial=0)
    items = list(chain.from_iterable(filter(None, values)))
    return pa.ListArray.from_arrays(
        pa.array(list(ends), pa.int32()),
        array_of(items, column.item),
        type=arrow_type(column),
        mask=_nulls(values) if has_nulls else None,
    )


def _structs(values: Sequence[Json], column: StructType, *, has_nulls: bool) -> pa.Array:
    objects = [value or {} for value in values] if has_nulls else values
    if unknown := set().union(*objects).difference(key for key, _ in column.members):
        raise MisfitError(f"objects have a {min(unknown)!r}")
    return pa.StructArray.from_arrays(
        [array_of([item.get(key) for item in objects], member) for key, member in column.members],
        fields=list(arrow_type(column)),
        mask=_nulls(values) if has_nulls else None,
    )


def _nulls(values: Sequence[Json]) -> pa.Array:
    return pa.array([value is None for value in values], pa.bool_())


def _text(value: Json) -> str | None:
    if value is None or value.__class__ is str:
        return value
    json = canonical(value)
    return None if json == b"null" else json.decode()


def _refuse_other(kinds: set[type], held: set[type], values: Sequence[Json]) -> None:
    if kinds <= held:
        return
    other = next(value for value in values if value is not None and value.__class__ not in held)
    raise MisfitError(f"a value is of the type {type(other).__name__}")
