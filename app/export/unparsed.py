"""Results as they are in callbacks' bodies, not parsed: for whoever needs no more, or less soon."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import MsgspecError, Raw, json

from app.erased import may_lack
from app.export.records import Result, page_id, results_in
from app.store.views import CountedCallback

parts_of = json.Decoder(dict[str, Raw]).decode
"""The members of an object, each as its JSON. Raises MsgspecError."""

_items = json.Decoder(list[Raw]).decode
_NULL = Raw(b"null")


@dataclass(slots=True)
class UnparsedResults:
    """The results of a callback, each as its JSON, and what else rows are made of."""

    run_uid: str
    callback: CountedCallback
    result_keys: Sequence[str]
    data: list[Raw]
    custom_data: Raw
    input: Raw

    def ids(self) -> Iterator[str]:
        """The `result_id` of each."""
        page = page_id(self.run_uid, self.callback)
        return (f"{page}-{place}" for place in range(len(self.data)))

    def parsed(self) -> Iterator[Result]:
        """The same, parsed."""
        return results_in(self.run_uid, self.callback, self.result_keys)


def left_unparsed(
    run_uid: str, callbacks: Iterable[CountedCallback], result_keys: Sequence[str]
) -> list[UnparsedResults | Result]:
    """The results of callbacks; parsed if they cannot be found otherwise, or some were erased."""
    found: list[UnparsedResults | Result] = []
    for callback in callbacks:
        if may_lack(callback.body):
            found += results_in(run_uid, callback, result_keys)
            continue
        try:
            parts = parts_of(callback.body)
            data = result_texts(parts, result_keys)
        except (MsgspecError, RecursionError):  # what only the exact reading can read
            found += results_in(run_uid, callback, result_keys)
        else:
            given, custom_data = parts.get("input", _NULL), parts.get("custom_data", _NULL)
            found.append(UnparsedResults(run_uid, callback, result_keys, data, custom_data, given))
    return found


def result_texts(parts: dict[str, Raw], result_keys: Sequence[str]) -> list[Raw]:
    """As `app.model.results_of`. Raises MsgspecError."""
    for key in result_keys:
        found = parts.get(key)
        if found is not None:
            first = bytes(memoryview(found)[:1])
            if first == b"[":
                return _items(found)
            if first == b"{":
                return [found]
    return []
