"""What one logged answer of Edges says, read liberally: a pure function of its body."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from app.canonical import Json, canonical
from app.envelope import About, opened
from app.erased import digest_of, input_key, is_erased, shown
from app.model import Logged, Source, normalise_error, read_status, read_time_ms
from app.project.catalogue import Catalogue
from app.project.reading import short_text
from app.told import Reading, ToldInput


class InputTold(NamedTuple):
    """One input, as a page of `/inputs` shows it."""

    uid: str
    key: bytes
    """As a callback of this input has it; see `app.project.reading.input_key`."""
    alias_key: bytes
    """As a callback has it that does not name the input, only its custom_data."""
    input: Json
    custom_data: Json
    input_json: bytes
    custom_json: bytes
    told: ToldInput


class CallbackTold(NamedTuple):
    """A record of Edges about one callback that it sent, or tried to."""

    uid: str
    parent_uid: str | None
    batch_uid: str | None
    status: str | None
    http_status: int | None
    error: str | None
    created_ms: int | None


class Answer(NamedTuple):
    """One answer, understood as far as it can be."""

    logged: Logged
    about: About
    reading: Reading | None = None
    run: dict[str, Any] | None = None
    """The run, where the answer is one."""
    rows: int = 0
    """Of a page: how many it has."""
    inputs: Sequence[InputTold] = ()
    outputs: bytes | None = None
    """Of a page of `/outputs`: 16 bytes for each result, its digest, in order."""
    callbacks: Sequence[CallbackTold] = ()


def read_answer(logged: Logged, catalogue: Catalogue) -> Answer | None:
    """The answer in a log entry; None if it is none that this version knows.

    The fields of results are noted in the `catalogue`.
    """
    try:
        about, value = opened(logged.body)
        if logged.source == Source.OUTPUTS:
            return _outputs(logged, about, value, catalogue)
        return _READERS[logged.source](logged, about, value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _run(logged: Logged, about: About, value: Json) -> Answer:
    status = read_status(value.get("status"))
    count = value.get("output_count")
    reading = None
    if status is not None:
        is_count = isinstance(count, int) and count >= 0
        reading = Reading(logged.received_ms, status, count if is_count else None)
    return Answer(logged, about, reading, value)


def _act(logged: Logged, about: About, value: Json) -> Answer:
    if about.act in ("continue", "resume", "cancel") and isinstance(value, dict):
        return _run(logged, about, value)
    if about.act == "replay" and isinstance(value, dict):
        record = _record(value)
        return Answer(logged, about, callbacks=[record] if record else [])
    return Answer(logged, about)


def _inputs(logged: Logged, about: About, value: list[Json]) -> Answer:
    inputs = [
        _input(item, about, place, logged.received_ms)
        for place, item in enumerate(value)
        if isinstance(item, dict)
    ]
    return Answer(logged, about, rows=len(value), inputs=inputs)


def _input(item: dict[str, Json], about: About, place: int, told_ms: int) -> InputTold:
    given, custom = item.get("input_data"), item.get("custom_data")
    input_json, custom_json = canonical(given), canonical(custom)
    count = item.get("output_count")
    told = ToldInput(
        told_ms,
        (about.page << 20) + place,
        read_status(item.get("status")),
        normalise_error(item.get("last_error")),
        count if isinstance(count, int) else None,
        retries if isinstance(retries := item.get("retry_count"), int) else None,
        read_time_ms(item.get("started_at")),
        read_time_ms(item.get("finished_at")),
    )
    key = input_key(input_json, custom_json)
    uid = short_text(item.get("uid")) or f"unnamed-{key.hex()}"
    alias = input_key(b"null", custom_json)
    return InputTold(uid, key, alias, shown(given), shown(custom), input_json, custom_json, told)


def _outputs(logged: Logged, about: About, value: list[Json], catalogue: Catalogue) -> Answer:
    digests = b"".join([digest_of(result) for result in value])
    for result in value:
        if not is_erased(result):
            catalogue.see("data", shown(result))
    return Answer(logged, about, rows=len(value), outputs=digests)


def _callbacks(logged: Logged, about: About, value: list[Json]) -> Answer:
    records = [record for item in value if (record := _record(item)) is not None]
    return Answer(logged, about, rows=len(value), callbacks=records)


def _record(item: Json) -> CallbackTold | None:
    if not isinstance(item, dict) or not (uid := short_text(item.get("uid"))):
        return None
    error = normalise_error(item.get("error"))
    http_status = item.get("http_status")
    return CallbackTold(
        uid,
        short_text(item.get("parent_uid")),
        short_text(item.get("batch_uid")),
        read_status(item.get("status")),
        http_status if isinstance(http_status, int) else None,
        short_text((error["message"] or error["label"]) if error else item.get("http_response")),
        read_time_ms(item.get("created_at")),
    )


_READERS: dict[str, Callable[[Logged, About, Json], Answer]] = {
    Source.RUN.value: _run,
    Source.ACT.value: _act,
    Source.INPUTS.value: _inputs,
    Source.CALLBACKS.value: _callbacks,
}
