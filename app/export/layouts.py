"""How rows of results become columns, and how they become records: a layout for each make of row.

Results by themselves, results out of unwound lists, and results beside their inputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from orjson import Fragment

from app.canonical import Json, canonical
from app.export.column_types import Columns, column_types
from app.export.plans import Section
from app.export.records import (
    INPUT_OWN_COLUMNS,
    RESULT_COLUMNS,
    RESULT_OWN_COLUMNS,
    RESULT_SECTIONS,
    Result,
    data_section,
    input_own,
    opened_row,
    result_own,
    typed,
)
from app.model import timestamp
from app.record import Record, callback_ref
from app.store.views import Fields

Row = TypeVar("Row")
Values = tuple[Json, ...]


class Joined(NamedTuple):
    """A result beside its input; either may be None, but not both."""

    input: Record | None
    """As `app.record.input_record` makes it."""
    result: Result | None


@dataclass(frozen=True, slots=True)
class Layout(Generic[Row]):
    """What of a row opens up into columns, and which columns it has besides."""

    sections: tuple[Section, ...]
    own: tuple[str, ...]
    record_columns: tuple[str, ...]
    values: Callable[[Row], Values]
    """Of its sections."""
    own_values: Callable[[Row], Values]
    record: Callable[[Row, Values], Record]
    """The nested shape, ready to be written, with these values of its sections."""

    def flat(self, row: Row) -> Record:
        """The flat shape, by the names of the columns."""
        flat = opened_row(self.sections, self.values(row))
        flat.update(zip(self.own, self.own_values(row), strict=True))
        return flat

    def columns(self, fields: Fields) -> Columns:
        """All columns of the flat shape, from the catalogue."""
        return opened_columns(fields, self.sections) | typed(self.own)


def opened_columns(fields: Fields, sections: Sequence[Section]) -> Columns:
    """The columns of these sections, from the catalogue."""
    return {
        section.column(name): column
        for section in sections
        for name, column in column_types(
            fields.kinds[section.name], fields.within[section.name]
        ).items()
    }


# -------------------------------------------------------------------- results


def _result_values(result: Result) -> Values:
    return result.data, result.custom_data, result.input


def _result_record(result: Result, values: Values) -> Record:
    data, custom_data, given = values
    return {
        "run_uid": result.run_uid,
        "result_id": result.result_id,
        "source": result.source,
        "callback_ref_uid": callback_ref(result.callback_key),
        "batch_uid": result.batch_uid,
        "input": Fragment(canonical(given)),
        "custom_data": Fragment(canonical(custom_data)),
        "received_at": timestamp(result.received_ms),
        "data": Fragment(canonical(data)),
    }


RESULTS = Layout(
    sections=RESULT_SECTIONS,
    own=RESULT_OWN_COLUMNS,
    record_columns=RESULT_COLUMNS,
    values=_result_values,
    own_values=result_own,
    record=_result_record,
)


def flat_result(result: Result) -> Record:
    """The flat shape: the fields of the data, then custom_data, input and our own."""
    return RESULTS.flat(result)


def result_record(result: Result) -> Record:
    """The nested shape, ready to be written: what the sender gave is canonical JSON already."""
    return _result_record(result, _result_values(result))


_INDEX = "_unwind_index"
_UNWOUND_OWN = (_INDEX, *RESULT_OWN_COLUMNS)

UNWOUND = Layout(
    sections=(data_section(_UNWOUND_OWN), *RESULT_SECTIONS[1:]),
    own=_UNWOUND_OWN,
    record_columns=(*RESULT_COLUMNS[:-1], _INDEX[1:], RESULT_COLUMNS[-1]),
    values=_result_values,
    own_values=lambda result: (result.unwind_index, *result_own(result)),
    record=lambda result, values: {
        **_result_record(result, values),
        _INDEX[1:]: result.unwind_index,
    },
)

# ------------------------------------------------------- results beside inputs

_OF_INPUT = ("_status", *[name for name in INPUT_OWN_COLUMNS if name.startswith("error.")])
_OF_INPUT_LAST = ("_input_uid", "_result_count")
_INPUT_PLACES = tuple(map(INPUT_OWN_COLUMNS.index, (*_OF_INPUT, *_OF_INPUT_LAST)))
_NO_INPUT = (None,) * len(INPUT_OWN_COLUMNS)


def _joined_values(row: Joined) -> Values:
    given, result = row
    data = None if result is None else result.data
    if given is not None:
        return data, given["custom_data"], given["input"]
    return data, None if result is None else result.custom_data, result and result.input


def _joined_own(row: Joined) -> Values:
    given, result = row
    own = _NO_INPUT if given is None else input_own(given)
    of_input = [own[place] for place in _INPUT_PLACES]
    if result is None:
        return *of_input, None if given is None else given["run_uid"], None, None
    return *of_input, *result_own(result)


def _joined_record(row: Joined, values: Values) -> Record:
    (given, result), (data, custom_data, its_input) = row, values
    record: Record = {
        "run_uid": result.run_uid if result is not None else (given or {}).get("run_uid"),
        "input_uid": None,
        "input": Fragment(canonical(its_input)),
        "custom_data": Fragment(canonical(custom_data)),
        "status": None,
        "error": None,
        "result_count": None,
    }
    if given is not None:
        for name in ("input_uid", "status", "error", "result_count"):
            record[name] = given[name]
    return {
        **record,
        "result_id": None if result is None else result.result_id,
        "source": None if result is None else result.source,
        "callback_ref_uid": None if result is None else callback_ref(result.callback_key),
        "batch_uid": None if result is None else result.batch_uid,
        "received_at": None if result is None else timestamp(result.received_ms),
        "data": Fragment(canonical(data)),
    }


_JOINED_OWN = (*_OF_INPUT, *_OF_INPUT_LAST, *RESULT_OWN_COLUMNS)
_JOINED_COLUMNS = (
    "run_uid",
    "input_uid",
    "input",
    "custom_data",
    "status",
    "error",
    "result_count",
    "result_id",
    "source",
    "callback_ref_uid",
    "batch_uid",
    "received_at",
    "data",
)

JOINED = Layout(
    sections=(data_section(_JOINED_OWN), *RESULT_SECTIONS[1:]),
    own=_JOINED_OWN,
    record_columns=_JOINED_COLUMNS,
    values=_joined_values,
    own_values=_joined_own,
    record=_joined_record,
)


def _index_of(row: Joined) -> int | None:
    return None if row.result is None else row.result.unwind_index


_UNWOUND_JOINED_OWN = (_INDEX, *_JOINED_OWN)

UNWOUND_JOINED = Layout(
    sections=(data_section(_UNWOUND_JOINED_OWN), *RESULT_SECTIONS[1:]),
    own=_UNWOUND_JOINED_OWN,
    record_columns=(*_JOINED_COLUMNS[:-1], _INDEX[1:], _JOINED_COLUMNS[-1]),
    values=_joined_values,
    own_values=lambda row: (_index_of(row), *_joined_own(row)),
    record=lambda row, values: {**_joined_record(row, values), _INDEX[1:]: _index_of(row)},
)
