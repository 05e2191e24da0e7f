"""What the Edges API answers, as it came and read with tolerance.

Fields that are unknown stay in `fields`, those that are missing or make no sense are None.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from app import canonical
from app.canonical import Json
from app.model import normalise_error, read_status

_pages = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Record:
    """One object of Edges: a callback's record, a schedule, or a run in a list."""

    fields: Mapping[str, Json]
    """All that came, unchanged."""

    @property
    def uid(self) -> str | None:
        """Its own uid."""
        return text(self.fields.get("uid"))

    @property
    def status(self) -> str | None:
        """Upper case."""
        return read_status(self.fields.get("status"))

    @property
    def parent_uid(self) -> str | None:
        """Of a replay's record: the original's uid."""
        return text(self.fields.get("parent_uid"))

    @property
    def run_uid(self) -> str | None:
        """The run that it belongs to."""
        return text(self.fields.get("run_uid"))

    @property
    def batch_uid(self) -> str | None:
        """The batch of that run."""
        return text(self.fields.get("batch_uid"))

    @property
    def created_at(self) -> str | None:
        """As Edges wrote it."""
        return text(self.fields.get("created_at"))

    @property
    def error(self) -> dict[str, Json] | None:
        """In the shape of `app.model.normalise_error`."""
        return normalise_error(self.fields.get("error") or self.fields.get("last_error"))


@dataclass(frozen=True, slots=True)
class RecordAnswer(Record):
    """One object, and the body that it came in."""

    body: bytes


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """A run as Edges has it. Times are as Edges wrote them."""

    body: bytes
    fields: Mapping[str, Json]
    uid: str | None
    status: str | None
    """Upper case; unknown ones as they came."""
    output_count: int | None
    action_name: str | None
    execution_mode: str | None
    scheduled_run_uid: str | None
    last_error: dict[str, Json] | None
    """In the shape of `app.model.normalise_error`."""
    parameters: Mapping[str, Json] | None
    started_at: str | None
    finished_at: str | None
    created_at: str | None
    updated_at: str | None


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """One page of a list. Its items are counted, not read, unless `records` has them."""

    body: bytes
    url: str
    """Where it came from."""
    count: int
    limit: int | None
    """Items asked for; None if the link to this page was Edges' own."""
    next_url: str | None = None
    """Where the next page is, for `next_page`; None if this is the last one."""
    next_offset: int | None = None
    """Likewise, for lists that go by offset."""
    records: tuple[Record, ...] | None = None
    """The items of lists that are short: of callbacks' records, schedules and runs."""


class NotJsonError(ValueError):
    """An answer that is no JSON, such as a proxy's page, or one that was cut."""


def read_object(body: bytes) -> Mapping[str, Json]:
    """The object that `body` is. Raises NotJsonError, or TypeError if it is something else."""
    value = _parsed(body)
    if not isinstance(value, dict):
        raise TypeError(f"a JSON object was expected, this is {_kind(value)}")
    return value


def read_records(body: bytes) -> tuple[Record, ...]:
    """The objects in the array that `body` is; what is no object among them is left out.

    Raises as `read_object` does.
    """
    value = _parsed(body)
    if not isinstance(value, list):
        raise TypeError(f"a JSON array was expected, this is {_kind(value)}")
    return tuple(Record(item) for item in value if isinstance(item, dict))


def count_items(body: bytes) -> int:
    """How many items the array has that `body` is, without building them.

    Raises as `read_object` does.
    """
    try:
        return len(_pages.decode(body))
    except msgspec.ValidationError:
        raise TypeError(f"a JSON array was expected, this is {_kind(_parsed(body))}") from None
    except (msgspec.DecodeError, RecursionError):
        value = _parsed(body)  # reads what msgspec is too strict for
        return len(value) if isinstance(value, list) else 0


def read_run(body: bytes, fields: Mapping[str, Json]) -> RunAnswer:
    """A run's object with its fields in their types."""
    parameters = fields.get("parameters")
    return RunAnswer(
        body=body,
        fields=fields,
        uid=text(fields.get("uid")) or text(fields.get("run_uid")),
        status=read_status(fields.get("status")),
        output_count=whole_number(fields.get("output_count")),
        action_name=text(fields.get("action_name")),
        execution_mode=text(fields.get("execution_mode")),
        scheduled_run_uid=text(fields.get("scheduled_run_uid")),
        last_error=normalise_error(fields.get("last_error")),
        parameters=parameters if isinstance(parameters, dict) else None,
        started_at=text(fields.get("started_at")),
        finished_at=text(fields.get("finished_at")),
        created_at=text(fields.get("created_at")),
        updated_at=text(fields.get("updated_at")),
    )


def read_refusal(status: int, body: bytes) -> dict[str, Json]:
    """The error of a refusal in the shape of `app.model.normalise_error`, whatever the body is."""
    try:
        raw = _parsed(body)
    except NotJsonError:
        raw = body[:300].decode("utf-8", "replace")
    if isinstance(raw, dict) and not raw.keys() & {"error_label", "label", "message"}:
        raw = raw.get("error") or raw.get("last_error") or raw
    error = normalise_error(raw) or normalise_error({"message": f"HTTP {status}"}) or {}
    return {**error, "status_code": whole_number(error.get("status_code")) or status}


def text(value: Json) -> str | None:
    """A text that any store can hold; None for an empty one, and for other values."""
    return value.replace("\0", "?") if isinstance(value, str) and value else None


def whole_number(value: Json) -> int | None:
    """A count, also if it was written as text; None for other values."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:18])
    return value if type(value) is int and value >= 0 else None


def _parsed(body: bytes) -> Json:
    try:
        return canonical.parse(body)
    except (ValueError, RecursionError) as error:
        begin = body[:80].decode("utf-8", "replace")
        raise NotJsonError(f"{len(body)} bytes that are no JSON ({error}): {begin!r}") from error


def _kind(value: Json) -> str:
    if isinstance(value, dict):
        return "an object with the keys " + ", ".join(sorted(map(str, value))[:10])
    return {list: "an array", str: "a text", type(None): "null"}.get(type(value), "a number")
