"""Skimming: of results no more than what tells them apart, in a fraction of the time of reading.

A body is gone through for the fields that are wanted, and nothing else of it is made into values.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypedDict

import msgspec

from app.canonical import Json, dumps, parse
from app.erased import is_erased, may_lack, shown
from app.model import results_of
from app.store.views import CountedCallback


class Skimmed(NamedTuple):
    """A result of which only some fields were read."""

    data: Json
    text: bytes
    """All of its data, as JSON; empty if it was not asked for."""


class Skim:
    """Reads `fields` of the data of results."""

    def __init__(
        self, result_keys: Sequence[str], fields: Iterable[str], *, with_text: bool = False
    ) -> None:
        """With text, it has the text of all of the data too."""
        self._with_text = with_text
        self._result_keys = result_keys
        names = [f"key_{number}" for number in range(len(result_keys))]
        body = msgspec.defstruct(
            "Body",
            [(name, msgspec.Raw, msgspec.Raw(b"")) for name in names],
            rename=dict(zip(names, result_keys, strict=True)),
        )
        # The functional form, since names are not known before.
        data: Any = TypedDict("Data", dict.fromkeys(fields, Any), total=False)  # type: ignore[misc]
        self._bodies = msgspec.json.Decoder(body)
        self._texts = msgspec.json.Decoder(list[msgspec.Raw])
        self._lists = msgspec.json.Decoder(list[data])
        self._objects = msgspec.json.Decoder(data)

    def results_in(self, callbacks: Iterable[CountedCallback]) -> list[Skimmed]:
        """The results of these callbacks, in order."""
        return [skimmed for callback in callbacks for skimmed in self.skimmed(callback.body)]

    def skimmed(self, body: bytes) -> list[Skimmed]:
        """The results in a body: at least the wanted fields of each, if it is an object."""
        if may_lack(body):
            return self._read(body)
        try:
            return self._skimmed(body)
        except msgspec.MsgspecError:  # a result that is no object, or what must be read exactly
            return self._read(body)

    def _read(self, body: bytes) -> list[Skimmed]:
        """All of them, without those that were erased."""
        _, results = results_of(parse(body), self._result_keys)
        kept = [shown(data) for data in results if not is_erased(data)]
        return [Skimmed(data, dumps(data)) for data in kept]

    def _skimmed(self, body: bytes) -> list[Skimmed]:
        """As `app.model.results_of`."""
        for raw in msgspec.structs.astuple(self._bodies.decode(body)):
            start = bytes(memoryview(raw)[:1])
            if start == b"{":
                return [Skimmed(self._objects.decode(raw), bytes(raw))]
            if start == b"[":
                if not self._with_text:
                    return [Skimmed(data, b"") for data in self._lists.decode(raw)]
                return [
                    Skimmed(self._objects.decode(text), bytes(text))
                    for text in self._texts.decode(raw)
                ]
        return []
