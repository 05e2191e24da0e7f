"""One result for each key: the first, the last, or all of them merged.

What is looked at first, and what is kept then, must be the same results in the same order, by
portions of any size. Keys may be None; such results are all kept.
"""

import os
import struct
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal, NamedTuple, Protocol, TypeVar, get_args

from app.canonical import Json, parse
from app.export.key_table import KeyTable, packed
from app.export.keys import KeyOf
from app.store.protocol import StoreError

Keep = Literal["first", "last", "merge"]
KEEPS: tuple[Keep, ...] = get_args(Keep)


class Fillable(Protocol):
    """A result as it is to be written, in whichever make."""

    @property
    def data(self) -> Json:
        """At least the fields that its key is made of."""

    def fill(self, more: Iterable[dict[str, Json]]) -> None:
        """Fill its data with what it lacks; see `app.export.filling`."""


class Noted(Protocol):
    """A result as it is looked at ahead."""

    @property
    def text(self) -> bytes:
        """Its data as JSON."""


Row = TypeVar("Row", bound=Fillable)


class GoneError(StoreError):
    """Results went away while they were looked at and then read, such as a person's."""

    def __init__(self, noted: int, passed: int) -> None:
        super().__init__(f"of {noted} results {noted - passed} went away meanwhile. Start again")


class Keeper(ABC):
    """Knows which results of a set are to be kept. Nothing is: `close` it."""

    looks_ahead: ClassVar[bool]
    """Whether all results must be noted before the first is kept."""
    needs_text: ClassVar[bool] = False
    """Whether it looks at the text of results that are noted."""

    @abstractmethod
    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        """`expected` is about how many results there are; `folder` is for its files."""

    @abstractmethod
    def note(self, results: Sequence[Noted], key_of: KeyOf) -> None:
        """Look at some results ahead."""

    @abstractmethod
    def kept(self, results: Sequence[Row], key_of: KeyOf) -> list[Row]:
        """Those of the next results that are kept, as they are kept."""

    @abstractmethod
    def finish(self) -> None:
        """Say that these were all. Raises GoneError if some went away between the two looks."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""


class KeepFirst(Keeper):
    """Keeps the first result of each key, in one pass."""

    looks_ahead: ClassVar[bool] = False

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        self._keys = KeyTable(expected=expected, folder=folder)

    def note(self, results: Sequence[Noted], key_of: KeyOf) -> None:
        """Nothing."""

    def kept(self, results: Sequence[Row], key_of: KeyOf) -> list[Row]:
        """Results of keys that did not come before."""
        find = self._keys.find
        found = [result for result in results if (key := key_of(result)) is None or find(key) < 0]
        self._keys.rest(len(results))
        return found

    def finish(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Give everything back."""
        self._keys.close()


_DROPPED, _KEPT, _FILLED = 0, 1, 2


class _KeepAfterLook(Keeper):
    """Notes ahead what becomes of each result: a byte for each, 1 MB for a million."""

    looks_ahead: ClassVar[bool] = True

    def __init__(self, value_bytes: int, expected: int, folder: Path | None) -> None:
        self._keys = KeyTable(value_bytes, expected=expected, folder=folder)
        self._noted = self._passed = 0
        self._fates = bytearray()

    def _next_fates(self, results: int) -> bytearray:
        """Those of so many results."""
        start, self._passed = self._passed, self._passed + results
        return self._fates[start : self._passed].ljust(results, bytes((_DROPPED,)))

    def finish(self) -> None:
        """Raises GoneError if there were fewer results than were noted."""
        if self._passed != self._noted:
            raise GoneError(self._noted, self._passed)

    def close(self) -> None:
        """Give everything back."""
        self._keys.close()


_PLACE_BYTES, _read_place, _write_place = packed("<Q")


class KeepLast(_KeepAfterLook):
    """Keeps the last result of each key."""

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        super().__init__(_PLACE_BYTES, expected, folder)

    def note(self, results: Sequence[Noted], key_of: KeyOf) -> None:
        """Of two of a key the later one is kept."""
        keys, fates = self._keys, self._fates
        fates += bytes((_KEPT,)) * len(results)
        find = keys.find
        for number, result in enumerate(results, self._noted):
            key = key_of(result)
            if key is not None:
                place = find(key)
                if place < 0:
                    place = ~place
                else:
                    fates[_read_place(keys.memory, place)[0]] = _DROPPED
                _write_place(keys.memory, place, number)
        self._noted += len(results)
        keys.rest(len(results))

    def kept(self, results: Sequence[Row], key_of: KeyOf) -> list[Row]:
        """Those after which none of their key is to come."""
        del key_of
        return list(compress(results, self._next_fates(len(results))))


_ENTRY_BYTES, _read_entry, _write_entry = packed("<qQQ")


class KeepMerged(_KeepAfterLook):
    """Keeps the first result of each key, its missing fields filled from those after it.

    See `app.export.filling`. Looking ahead it puts aside the texts of later results that are not
    just those of the first: most are. An entry of the table has a hash of the first one's text,
    its place, and where what was put aside begins (0: nowhere).
    """

    needs_text: ClassVar[bool] = True

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        super().__init__(_ENTRY_BYTES, expected, folder)
        self._aside = _Aside(folder)

    def note(self, results: Sequence[Noted], key_of: KeyOf) -> None:
        """Put aside what later results say."""
        keys, fates = self._keys, self._fates
        fates += bytes((_KEPT,)) * len(results)
        find = keys.find
        for number, result in enumerate(results, self._noted):
            key = key_of(result)
            if key is None:
                continue
            place = find(key)
            if place < 0:
                _write_entry(keys.memory, ~place, hash(result.text), number, 0)
                continue
            fates[number] = _DROPPED
            known, first, where = _read_entry(keys.memory, place)
            if hash(result.text) != known:
                where = self._aside.add(result.text, where)
                fates[first] = _FILLED
                _write_entry(keys.memory, place, known, first, where)
        self._noted += len(results)
        keys.rest(len(results))

    def kept(self, results: Sequence[Row], key_of: KeyOf) -> list[Row]:
        """Those of a key that did not come before, filled."""
        keys, fates = self._keys, self._next_fates(len(results))
        number = fates.find(_FILLED)
        while number >= 0:
            result = results[number]
            if result.data.__class__ is dict:
                key = key_of(result)
                place = ~0 if key is None else keys.find(key)
                if place >= 0:
                    result.fill(self._aside.read(_read_entry(keys.memory, place)[2]))
            number = fates.find(_FILLED, number + 1)
        keys.rest(len(results))
        return list(compress(results, fates))

    def close(self) -> None:
        """Give everything back."""
        super().close()
        self._aside.close()


_HEADER = struct.Struct("<QQ")


class _Aside:
    """Objects put aside in a file without a name, each with where the one before it is."""

    def __init__(self, folder: Path | None) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._end = 1  # since 0 means nowhere

    def add(self, text: bytes, before: int) -> int:
        """Where it is from now on."""
        where = self._end
        piece = _HEADER.pack(before, len(text)) + text
        while piece:
            written = os.pwrite(self._file.fileno(), piece, self._end)
            self._end += written
            piece = piece[written:]
        return where

    def read(self, where: int) -> Iterator[dict[str, Json]]:
        """The objects that were put there, and before: the first one first."""
        found = []
        while where:
            header = os.pread(self._file.fileno(), _HEADER.size, where)
            before, size = _HEADER.unpack(header)
            found.append((where + _HEADER.size, size))
            where = before
        for start, size in reversed(found):
            value = parse(os.pread(self._file.fileno(), size, start))
            if value.__class__ is dict:
                yield value

    def close(self) -> None:
        """Give everything back."""
        self._file.close()


KEEPERS: dict[Keep, type[Keeper]] = {"first": KeepFirst, "last": KeepLast, "merge": KeepMerged}


class Distinct(NamedTuple):
    """What is asked for."""

    on: str
    """A column, or `auto`."""
    keep: Keep = "first"
