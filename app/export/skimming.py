"""Skimming: of results no more than what tells them apart, in a fraction of the time of reading.

A body is gone through for the fields that are wanted, and nothing else of it is made into values.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypedDict

import msgspec

from app.canonical import Json, parse
from app.model import results_of
from app.store.views import CountedCallback


class Skimmed(NamedTuple):
    """A result of which only some fields were read, or its data alone."""

    data: Json


class Skim:
    """Reads `fields` of the data of results; None: all of the data."""

    def __init__(self, result_keys: Sequence[str], fields: Iterable[str] | None) -> None:
        self._result_keys = result_keys
        self._bodies: msgspec.json.Decoder[Any] | None = None
        if fields is not None:
            names = [f"key_{number}" for number in range(len(result_keys))]
            body = msgspec.defstruct(
                "Body",
                [(name, msgspec.Raw, msgspec.Raw(b"")) for name in names],
                rename=dict(zip(names, result_keys, strict=True)),
            )
            # The functional form, since names are not known before.
            data: Any = TypedDict("Data", dict.fromkeys(fields, Any), total=False)  # type: ignore[misc]
            self._bodies = msgspec.json.Decoder(body)
            self._lists = msgspec.json.Decoder(list[data])
            self._objects = msgspec.json.Decoder(data)

    def results_in(self, callbacks: Iterable[CountedCallback]) -> list[Skimmed]:
        """The results of these callbacks, in order."""
        return [Skimmed(data) for callback in callbacks for data in self.data_in(callback.body)]

    def data_in(self, body: bytes) -> list[Json]:
        """The data of the results in a body: at least the wanted fields, if they are objects."""
        if self._bodies is not None:
            try:
                found = self._bodies.decode(body)
                for raw in msgspec.structs.astuple(found):
                    start = bytes(memoryview(raw)[:1])
                    if start == b"[":
                        return self._lists.decode(raw)
                    if start == b"{":
                        return [self._objects.decode(raw)]
            except msgspec.MsgspecError:
                pass  # a result that is no object, or what must be read exactly
            else:
                return []
        return results_of(parse(body), self._result_keys)[1]
