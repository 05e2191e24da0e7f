"""Results in their nested shape as lines of JSON, without reading what is in them.

A result's own text is cut out of its callback's body and put into the record: five times as
quick as reading it and writing it again. What comes of it depends on the sender's spelling, so
it is done only where that does not depend on the order in which callbacks came
(`RunSnapshot.is_respelled`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from orjson import Fragment

from app.canonical import Json, canonical, dumps, parse
from app.erased import may_lack
from app.export.filling import filled_by
from app.export.layouts import result_record
from app.export.records import Result, page_id, results_in
from app.export.unparsed import cut
from app.model import timestamp
from app.record import callback_ref
from app.store.views import CountedCallback

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(slots=True)
class KeyedLine:
    """A result as a line, and what is known of its data without reading the line."""

    line: bytes
    known: Json = None

    @property
    def data(self) -> Json:
        """At least the fields that its key is made of."""
        return parse(self.line)["data"] if self.known is None else self.known

    def fill(self, more: Iterable[dict[str, Json]]) -> None:
        """Fill its data with what they lack."""
        record = parse(self.line)
        data = filled_by(record["data"], more)
        given = {name: Fragment(canonical(record[name])) for name in ("input", "custom_data")}
        self.line = dumps({**record, **given, "data": Fragment(canonical(data))})


def record_lines(results: Iterable[Result]) -> list[bytes]:
    """A line of JSON for each result, without its end."""
    return [dumps(result_record(result)) for result in results]


def callback_lines(
    run_uid: str, callbacks: Iterable[CountedCallback], result_keys: Sequence[str]
) -> list[bytes]:
    """The lines of callbacks' results, in their order; values of the same as `record_lines`."""
    lines: list[bytes] = []
    for callback in callbacks:
        if _is_to_be_read(callback.body):
            lines += record_lines(results_in(run_uid, callback, result_keys))
            continue
        try:
            lines += _cut_out(run_uid, callback, result_keys)
        except (msgspec.MsgspecError, RecursionError):  # what only the exact reading can read
            lines += record_lines(results_in(run_uid, callback, result_keys))
    return lines


def _is_to_be_read(body: bytes) -> bool:
    """What was erased has no line, and a line has no line ends in it; and of surrogates, which may
    be halves, reading makes text."""
    if may_lack(body) or b"\n" in body or b"\r" in body:
        return True
    # To look for one character first is ten times as quick.
    return b"\\" in body and b"\\u" in body and _SURROGATE.search(body) is not None


def _cut_out(
    run_uid: str, callback: CountedCallback, result_keys: Sequence[str]
) -> Iterator[bytes]:
    given, custom_data, results = cut(callback.body, result_keys)
    before = b'{"run_uid":%b,"result_id":"%b-' % (
        dumps(run_uid),
        page_id(run_uid, callback).encode(),
    )
    behind = b'","source":"callback","callback_ref_uid":%b,"batch_uid":%b,"input":%b,' % (
        dumps(callback_ref(callback.callback_key)),
        dumps(callback.batch_uid),
        _canonical(given),
    ) + b'"custom_data":%b,"received_at":"%b","data":' % (
        _canonical(custom_data),
        timestamp(callback.received_ms).encode(),
    )
    join = b"".join
    return (
        join((before, b"%d" % place, behind, result, b"}")) for place, result in enumerate(results)
    )


def _canonical(text: msgspec.Raw) -> bytes:
    return canonical(parse(bytes(text)))
