"""One result for each key: the first, the last, or all of them merged.

What is looked at first, and what is kept then, must be the same results in the same order, by
portions of any size. Keys may be None; such results are all kept.
"""

import os
import struct
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal, NamedTuple, get_args

from app.canonical import Json, dumps, parse
from app.export.key_table import KeyTable, packed
from app.export.keys import KeyOf
from app.export.records import Result
from app.export.skimming import Skimmed

Keep = Literal["first", "last", "merge"]
KEEPS: tuple[Keep, ...] = get_args(Keep)

OUTLINES_MAX = 10_000
"""Of objects, whose fields are known at once; some 1 KB each."""
BITS_MAX = 86
"""So many fields are known by themselves."""


class Keeper(ABC):
    """Knows which results of a set are to be kept. Nothing is: `close` it."""

    looks_ahead: ClassVar[bool]
    """Whether all results must be noted before the first is kept."""
    needs_data: ClassVar[bool] = False
    """Whether all of their data is needed then, or but what their keys are made of."""

    @abstractmethod
    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        """`expected` is about how many results there are; `folder` is for its files."""

    @abstractmethod
    def note(self, results: Sequence[Result | Skimmed], key_of: KeyOf) -> None:
        """Look at some results ahead."""

    @abstractmethod
    def kept(self, results: Sequence[Result], key_of: KeyOf) -> list[Result]:
        """Those of the next results that are kept, as they are kept."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""


class KeepFirst(Keeper):
    """Keeps the first result of each key, in one pass."""

    looks_ahead: ClassVar[bool] = False

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        self._keys = KeyTable(expected=expected, folder=folder)

    def note(self, results: Sequence[Result | Skimmed], key_of: KeyOf) -> None:
        """Nothing."""

    def kept(self, results: Sequence[Result], key_of: KeyOf) -> list[Result]:
        """Results of keys that did not come before."""
        find = self._keys.find
        found = [result for result in results if (key := key_of(result)) is None or find(key) < 0]
        self._keys.rest(len(results))
        return found

    def close(self) -> None:
        """Give everything back."""
        self._keys.close()


_COUNT_BYTES, _read_count, _write_count = packed("<I")


class KeepLast(Keeper):
    """Keeps the last result of each key.

    Looking ahead it counts the results of each key, and then counts down: so what is erased
    between does not shift what others have.
    """

    looks_ahead: ClassVar[bool] = True

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        self._keys = KeyTable(_COUNT_BYTES, expected=expected, folder=folder)

    def note(self, results: Sequence[Result | Skimmed], key_of: KeyOf) -> None:
        """Count."""
        keys = self._keys
        for result in results:
            key = key_of(result)
            if key is not None:
                place = keys.find(key)
                if place < 0:
                    _write_count(keys.memory, ~place, 1)
                else:
                    _write_count(keys.memory, place, _read_count(keys.memory, place)[0] + 1)
        keys.rest(len(results))

    def kept(self, results: Sequence[Result], key_of: KeyOf) -> list[Result]:
        """Results after which none of their key is to come."""
        keys, found = self._keys, []
        for result in results:
            key = key_of(result)
            if key is not None:
                place = keys.find(key)
                left = 1 if place < 0 else _read_count(keys.memory, place)[0]
                if left > 1:
                    _write_count(keys.memory, place, left - 1)
                    continue
            found.append(result)
        keys.rest(len(results))
        return found

    def close(self) -> None:
        """Give everything back."""
        self._keys.close()


_HEADER = struct.Struct("<QQ")
_KEPT = 1
_WHERE_BITS = 40
_WHERE_MASK = (1 << _WHERE_BITS) - 1
_ENTRY_BYTES = 16


class KeepMerged(Keeper):
    """Keeps the first result of each key, its missing fields filled from those after it.

    See `filled`. Looking ahead it notes of each key which fields its results have had so far, and
    puts aside what a later one adds; most add nothing. An entry of the table is a number: from
    below, whether the key's result was kept, where what was put aside begins (0: nowhere), and
    the fields as bits.
    """

    looks_ahead: ClassVar[bool] = True
    needs_data: ClassVar[bool] = True

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        self._keys = KeyTable(_ENTRY_BYTES, expected=expected, folder=folder)
        self._aside = _Aside(folder)
        self._had = _Had()

    def note(self, results: Sequence[Result | Skimmed], key_of: KeyOf) -> None:
        """Put aside what later results add."""
        keys, had = self._keys, self._had
        for result in results:
            key = key_of(result)
            if key is None or result.data.__class__ is not dict:
                continue
            bits = had.bits(result.data)
            place, where = keys.find(key), 0
            if place < 0:
                place = ~place
            else:
                entry = int.from_bytes(keys.memory[place : place + _ENTRY_BYTES], "little")
                known, where = entry >> _WHERE_BITS + 1, entry >> 1 & _WHERE_MASK
                if not bits & ~known:
                    continue
                where = self._aside.add(had.added(known, result.data), where)
                bits |= known
            entry = (bits & ~had.OTHERS) << _WHERE_BITS + 1 | where << 1
            keys.memory[place : place + _ENTRY_BYTES] = entry.to_bytes(_ENTRY_BYTES, "little")
        keys.rest(len(results))

    def kept(self, results: Sequence[Result], key_of: KeyOf) -> list[Result]:
        """Results of keys that did not come before, filled."""
        keys, found = self._keys, []
        for result in results:
            key = key_of(result)
            if key is not None:
                place = keys.find(key)
                if place < 0:
                    place = ~place
                entry = int.from_bytes(keys.memory[place : place + _ENTRY_BYTES], "little")
                if entry & _KEPT:
                    continue
                keys.memory[place] |= _KEPT
                where = entry >> 1 & _WHERE_MASK
                if where and result.data.__class__ is dict:
                    for more in self._aside.read(where):
                        result.data = filled(result.data, more)
            found.append(result)
        keys.rest(len(results))
        return found

    def close(self) -> None:
        """Give everything back."""
        self._keys.close()
        self._aside.close()


def filled(first: dict[str, Json], later: dict[str, Json]) -> dict[str, Json]:
    """`first`, with what it lacks of `later`: fields that it has not, or that are null.

    Objects are filled field by field. A list is a value, also an empty one: it stays as it is.
    """
    found = dict(first)
    for key, value in later.items():
        if value is None:
            continue
        known = found.get(key)
        if known is None:
            found[key] = value
        elif known.__class__ is dict and value.__class__ is dict:
            found[key] = filled(known, value)
    return found


class _Had:
    """Which fields some data have that are not null, as bits: one for each field."""

    OTHERS: ClassVar[int] = 1 << BITS_MAX
    """Of all fields that came when no bit was left: whether one was had before is not known."""

    def __init__(self) -> None:
        self._bits: dict[tuple[str, ...], int] = {}
        self._seen: dict[tuple[object, ...], tuple[int, list[str]]] = {}

    def bits(self, data: dict[str, Json], path: tuple[str, ...] = ()) -> int:
        """The fields that data at a path have, and those in their objects."""
        outline = (path, tuple(data), tuple(map(type, data.values())))
        seen = self._seen.get(outline)
        if seen is None:
            if len(self._seen) >= OUTLINES_MAX:
                self._seen.clear()
            seen = self._seen[outline] = self._look(data, path)
        found, objects = seen
        for key in objects:
            found |= self.bits(data[key], (*path, key))
        return found

    def _look(self, data: dict[str, Json], path: tuple[str, ...]) -> tuple[int, list[str]]:
        """What data of an outline have, and which of that are objects."""
        found = 0
        for key, value in data.items():
            if value is not None:
                found |= self._bit((*path, key))
        return found, [key for key, value in data.items() if value.__class__ is dict]

    def _bit(self, path: tuple[str, ...]) -> int:
        bit = self._bits.get(path)
        if bit is None:
            if len(self._bits) >= BITS_MAX:
                return self.OTHERS
            bit = self._bits[path] = 1 << len(self._bits)
        return bit

    def added(
        self, known: int, data: dict[str, Json], path: tuple[str, ...] = ()
    ) -> dict[str, Json]:
        """What of data is not among the fields that are known; perhaps more, but never less."""
        found = {}
        for key, value in data.items():
            if value is None:
                continue
            field = (*path, key)
            if not self._bits.get(field, 0) & known:
                found[key] = value
            elif value.__class__ is dict and (more := self.added(known, value, field)):
                found[key] = more
        return found


class _Aside:
    """Objects put aside in a file without a name, each with where the one before it is."""

    def __init__(self, folder: Path | None) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._end = 1  # since 0 means nowhere

    def add(self, value: dict[str, Json], before: int) -> int:
        """Where it is from now on."""
        text = dumps(value)
        where = self._end
        piece = _HEADER.pack(before, len(text)) + text
        while piece:
            written = os.pwrite(self._file.fileno(), piece, self._end)
            self._end += written
            piece = piece[written:]
        return where

    def read(self, where: int) -> Iterator[dict[str, Json]]:
        """What was put there, and before: the first one first."""
        found = []
        while where:
            header = os.pread(self._file.fileno(), _HEADER.size, where)
            before, size = _HEADER.unpack(header)
            found.append((where + _HEADER.size, size))
            where = before
        for start, size in reversed(found):
            yield parse(os.pread(self._file.fileno(), size, start))

    def close(self) -> None:
        """Give everything back."""
        self._file.close()


KEEPERS: dict[Keep, type[Keeper]] = {"first": KeepFirst, "last": KeepLast, "merge": KeepMerged}


class Distinct(NamedTuple):
    """What is asked for."""

    on: str
    """A column, or `auto`."""
    keep: Keep = "first"
