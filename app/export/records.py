"""Results as rows, in their nested and in their flat shape; inputs in the flat one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.canonical import Json, canonical, digest, dumps, parse
from app.envelope import opened
from app.erased import MARK, is_erased, shown
from app.export.column_types import Columns, Scalar
from app.export.filling import filled_by
from app.export.plans import Section
from app.fields import flatten
from app.model import results_of, timestamp
from app.record import Record
from app.store.views import CountedCallback, CountedPage, ResultPosition, page_key


@dataclass(slots=True)
class Result:
    """One result with where it comes from."""

    run_uid: str
    result_id: str
    """The same for the same result of the same run, whichever of its replays came first."""
    place: int
    source: str
    """`callback`, or `outputs` where no callback brought it."""
    callback_key: str
    """Empty where no callback brought it."""
    batch_uid: str | None
    order_key: bytes
    input: Json
    custom_data: Json
    received_ms: int
    data: Json
    unwind_index: int | None = None
    """Where in a list its data were, if that list was unwound."""

    @property
    def text(self) -> bytes:
        """Its data as JSON."""
        return dumps(self.data)

    def fill(self, more: Iterable[dict[str, Json]]) -> None:
        """Fill its data with what they lack."""
        self.data = filled_by(self.data, more)

    @property
    def position(self) -> ResultPosition:
        """Its place in the order of the export."""
        return ResultPosition(self.order_key, self.callback_key, self.place)


def results_in(
    run_uid: str, callback: CountedCallback, result_keys: Sequence[str]
) -> Iterator[Result]:
    """The results of a callback, in its order."""
    body = parse(callback.body)
    _, results = results_of(body, result_keys)
    given, custom_data = shown(body.get("input")), shown(body.get("custom_data"))
    page = page_id(run_uid, callback)
    for place, data in enumerate(results):
        if is_erased(data):
            continue
        yield Result(
            run_uid=run_uid,
            result_id=f"{page}-{place}",
            place=place,
            source="callback",
            callback_key=callback.callback_key,
            batch_uid=callback.batch_uid,
            order_key=callback.order_key,
            input=given,
            custom_data=custom_data,
            received_ms=callback.received_ms,
            data=shown(data),
        )


def rows_in(
    run_uid: str, callback: CountedCallback, result_keys: Sequence[str]
) -> Iterator[tuple[tuple[Json, Json, Json], tuple[Json, ...]]]:
    """As `results_in`: of each its sections, as `RESULT_SECTIONS`, and its `RESULT_OWN_COLUMNS`."""
    body = parse(callback.body)
    _, results = results_of(body, result_keys)
    given, custom_data = shown(body.get("input")), shown(body.get("custom_data"))
    page, received_at = page_id(run_uid, callback), timestamp(callback.received_ms)
    for place, data in enumerate(results):
        if data.__class__ is dict and MARK in data:
            if is_erased(data):
                continue
            data = shown(data)  # noqa: PLW2901 - of which a part was erased
        yield (data, custom_data, given), (run_uid, f"{page}-{place}", received_at)


def page_id(run_uid: str, callback: CountedCallback) -> str:
    """What the ids of a callback's results begin with."""
    return digest(run_uid.encode() + b"\0" + callback.content).hex()[:24]


def results_on(run_uid: str, page: CountedPage, entry: bytes) -> Iterator[Result]:
    """The results that count on a page of `/outputs`, in its order."""
    _, results = opened(entry)
    bits = int.from_bytes(page.counted, "little")
    origin = f"{run_uid}\0{page.walk_uid}\0".encode()
    for place, data in enumerate(results):
        if bits >> place & 1 and not is_erased(data):
            content = digest(origin + canonical(data)).hex()[:24]
            yield Result(
                run_uid=run_uid,
                result_id=f"{content}-{page.page}.{place}",
                place=place,
                source="outputs",
                callback_key="",
                batch_uid=None,
                order_key=page_key(page),
                input=None,
                custom_data=None,
                received_ms=page.received_ms,
                data=shown(data),
            )


RESULT_COLUMNS = (
    "run_uid",
    "result_id",
    "source",
    "callback_ref_uid",
    "batch_uid",
    "input",
    "custom_data",
    "received_at",
    "data",
)
"""Of a table in the nested shape."""
RESULT_OWN_COLUMNS = ("_run_uid", "_result_id", "_received_at")


_TYPES: dict[str, Scalar] = {
    "received_at": "time",
    "_received_at": "time",
    "unwind_index": "integer",
    "_unwind_index": "integer",
    "result_count": "integer",
    "_result_count": "integer",
    "error.retryable": "boolean",
    "started_at": "time",
    "_started_at": "time",
    "finished_at": "time",
    "_finished_at": "time",
}
"""Of our own columns that are no text."""


def typed(names: Iterable[str]) -> Columns:
    """Our own columns with their types."""
    return {name: _TYPES.get(name, "text") for name in names}


def data_section(own: Sequence[str]) -> Section:
    """The data of results in a table that has these columns of its own."""
    groups = ("input", "custom_data", *[name.partition(".")[0] for name in own])
    return _bare_section("data", groups, own)


def _bare_section(name: str, groups: Sequence[str], own: Sequence[str] = ()) -> Section:
    """A section whose fields have columns of their own names, beside `own` and other `groups`.

    Fields that are called as other columns are have a backslash before them, which is unlike
    any field: there it comes before a dot or another one (`app.fields.escaped`).
    """
    taken, names = tuple(f"{group}." for group in dict.fromkeys(groups)), frozenset(own)
    return Section(
        name, lambda field: f"\\{field}" if field.startswith(taken) or field in names else field
    )


_DATA = data_section(RESULT_OWN_COLUMNS)
data_column = _DATA.column
_CUSTOM_DATA = Section("custom_data", "custom_data.{}".format)
_INPUT = Section("input", "input.{}".format)
RESULT_SECTIONS = (_DATA, _CUSTOM_DATA, _INPUT)
INPUT_SECTIONS = (_INPUT, _CUSTOM_DATA)
"""What of a row opens up into columns, in their order."""
GIVEN_SECTIONS = (_bare_section("input", ["custom_data"], ["custom_data"]), _CUSTOM_DATA)
"""Of inputs as they are given to Edges: their own fields at the root, and custom_data beside."""


def result_field(column: str) -> tuple[str, str] | None:
    """The section and the field that a column of results is of; None of our own columns."""
    if column in RESULT_OWN_COLUMNS:
        return None
    for section in (_CUSTOM_DATA, _INPUT):
        if column.startswith(f"{section.name}."):
            return section.name, column.removeprefix(f"{section.name}.")
    return "data", column[1:] if data_column(column[1:]) == column else column


def result_own(result: Result) -> tuple[Json, ...]:
    """The values of `RESULT_OWN_COLUMNS`."""
    return result.run_uid, result.result_id, timestamp(result.received_ms)


INPUT_COLUMNS = (
    "run_uid",
    "input_uid",
    "input",
    "custom_data",
    "status",
    "error",
    "result_count",
    "started_at",
    "finished_at",
)
"""Of a table in the nested shape."""
_ERROR_KEYS = (
    "label",
    "message",
    "scope",
    "status_code",
    "error_ref",
    "params",
    "retryable",
)
INPUT_OWN_COLUMNS = (
    "_status",
    *(f"error.{key}" for key in _ERROR_KEYS),
    "_result_count",
    "_input_uid",
    "_run_uid",
    "_started_at",
    "_finished_at",
)


def flat_input(record: Record) -> Record:
    """The flat shape of an input record; without the columns of an error if there was none."""
    row = opened_row(INPUT_SECTIONS, (record["input"], record["custom_data"]))
    row.update({f"error.{key}": value for key, value in (record["error"] or {}).items()})
    for name in ("status", "result_count", "input_uid", "run_uid", "started_at", "finished_at"):
        row[f"_{name}"] = record[name]
    return row


def given_input(record: Record) -> Record:
    """An input as it is given to Edges, with its custom_data."""
    given = record["input"]
    fields = given if isinstance(given, dict) else {} if given is None else {"value": given}
    custom_data = record["custom_data"]
    return fields if custom_data is None else {**fields, "custom_data": custom_data}


def flat_given(record: Record) -> Record:
    """The same as columns."""
    return opened_row(GIVEN_SECTIONS, (record["input"], record["custom_data"]))


def input_own(record: Record) -> tuple[Json, ...]:
    """The values of `INPUT_OWN_COLUMNS`."""
    error = record["error"] or {}
    return (
        record["status"],
        *[error.get(key) for key in _ERROR_KEYS],
        record["result_count"],
        record["input_uid"],
        record["run_uid"],
        record["started_at"],
        record["finished_at"],
    )


def opened_row(sections: Sequence[Section], values: Sequence[Json]) -> Record:
    """The columns of these sections. What is no object is the column `value` of its section."""
    row: Record = {}
    for section, value in zip(sections, values, strict=True):
        if isinstance(value, dict):
            row.update({section.column(name): item for name, item in flatten(value)})
        elif value is not None:
            row[section.column("value")] = value
    return row
