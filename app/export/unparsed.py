"""Results as they are in callbacks' bodies, not parsed: for whoever needs no more, or less soon."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import MsgspecError, Raw, json

from app.canonical import Json
from app.erased import may_lack
from app.export.records import Result, page_id, results_in, rows_in
from app.store.views import CountedCallback

_parts = json.Decoder(dict[str, Raw]).decode
_items = json.Decoder(list[Raw]).decode
_NULL = Raw(b"null")
_BESIDE = ("input", "custom_data")


class Cut(NamedTuple):
    """Parts of a callback's body, each as its JSON."""

    input: Raw
    custom_data: Raw
    results: Sequence[Raw]
    """As `app.model.results_of`."""


@dataclass(slots=True)
class UnparsedResults:
    """The results of a callback, each as its JSON, and what else rows are made of."""

    run_uid: str
    callback: CountedCallback
    result_keys: Sequence[str]
    data: Sequence[Raw]
    custom_data: Raw
    input: Raw

    def ids(self) -> Iterator[str]:
        """The `result_id` of each."""
        page = page_id(self.run_uid, self.callback)
        return (f"{page}-{place}" for place in range(len(self.data)))

    def parsed(self) -> Iterator[Result]:
        """The same, parsed."""
        return results_in(self.run_uid, self.callback, self.result_keys)


@dataclass(slots=True)
class UnreadResults:
    """The results of a callback, which are read while they are written, and let go of at once:
    so they are still in the processor's cache, and only few are in memory."""

    run_uid: str
    callback: CountedCallback
    result_keys: Sequence[str]
    rows: int = 0
    """How many there are; known once they were read."""

    def __iter__(self) -> Iterator[Result]:
        found = list(results_in(self.run_uid, self.callback, self.result_keys))
        self.rows = len(found)
        return iter(found)

    def poured(self) -> list[tuple[tuple[Json, Json, Json], tuple[Json, ...]]]:
        """Of each its sections and its own values, see `app.export.records`."""
        found = list(rows_in(self.run_uid, self.callback, self.result_keys))
        self.rows = len(found)
        return found


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
            given, custom_data, data = cut(callback.body, result_keys)
        except (MsgspecError, RecursionError):  # what only the exact reading can read
            found += results_in(run_uid, callback, result_keys)
        else:
            found.append(UnparsedResults(run_uid, callback, result_keys, data, custom_data, given))
    return found


def cut(body: bytes, result_keys: Sequence[str]) -> Cut:
    """The parts of a body. Raises MsgspecError, RecursionError for what has to be parsed."""
    at_once = _decoder(tuple(result_keys))
    if at_once is not None:
        try:
            given, custom_data, *lists = msgspec.structs.astuple(at_once(body))
        except msgspec.ValidationError:  # one result that is no list, or a key of another meaning
            pass
        else:
            results = next((results for results in lists if results is not None), ())
            return Cut(given, custom_data, results)
    parts = _parts(body)
    given, custom_data = (parts.get(name, _NULL) for name in _BESIDE)
    return Cut(given, custom_data, _results(parts, result_keys))


@lru_cache(maxsize=8)
def _decoder(result_keys: tuple[str, ...]) -> Callable[[bytes], Any] | None:
    """Goes through a body once, where all results are in lists: which they mostly are."""
    if not {*_BESIDE}.isdisjoint(result_keys) or len({*result_keys}) < len(result_keys):
        return None
    names = {f"results_{number}": key for number, key in enumerate(result_keys)}
    body = msgspec.defstruct(
        "Body",
        [*((name, Raw, _NULL) for name in _BESIDE), *((n, list[Raw] | None, None) for n in names)],
        rename=names,
    )
    return json.Decoder(body).decode


def _results(parts: dict[str, Raw], result_keys: Sequence[str]) -> Sequence[Raw]:
    for key in result_keys:
        found = parts.get(key)
        if found is not None:
            first = bytes(memoryview(found)[:1])
            if first == b"[":
                return _items(found)
            if first == b"{":
                return [found]
    return []
