"""One result for each key: the first, the last, or all of them merged.

What is looked at first, and what is kept then, must be the same results in the same order, by
portions of any size. Keys may be None; such results are all kept.
"""

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal, NamedTuple, get_args

from app.canonical import Json, dumps, parse
from app.export.key_table import KeyTable, packed
from app.export.keys import KeyOf
from app.export.records import Result

Keep = Literal["first", "last", "merge"]
KEEPS: tuple[Keep, ...] = get_args(Keep)

OUTLINES_MAX = 5_000
"""Some 2 KB each."""


class Keeper(ABC):
    """Knows which results of a set are to be kept. Nothing is: `close` it."""

    looks_ahead: ClassVar[bool]
    """Whether all results must be noted before the first is kept."""

    @abstractmethod
    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        """`expected` is about how many results there are; `folder` is for its files."""

    @abstractmethod
    def note(self, results: Iterable[Result], key_of: KeyOf) -> None:
        """Look at some results ahead."""

    @abstractmethod
    def kept(self, results: Iterable[Result], key_of: KeyOf) -> list[Result]:
        """Those of the next results that are kept, as they are kept."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""


class KeepFirst(Keeper):
    """Keeps the first result of each key, in one pass."""

    looks_ahead: ClassVar[bool] = False

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        self._keys = KeyTable(expected=expected, folder=folder)

    def note(self, results: Iterable[Result], key_of: KeyOf) -> None:
        """Nothing."""

    def kept(self, results: Iterable[Result], key_of: KeyOf) -> list[Result]:
        """Results of keys that did not come before."""
        find = self._keys.find
        found = [result for result in results if (key := key_of(result)) is None or find(key) < 0]
        self._keys.rest()
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

    def note(self, results: Iterable[Result], key_of: KeyOf) -> None:
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
        keys.rest()

    def kept(self, results: Iterable[Result], key_of: KeyOf) -> list[Result]:
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
        keys.rest()
        return found

    def close(self) -> None:
        """Give everything back."""
        self._keys.close()


_ENTRY_BYTES, _read_entry, _write_entry = packed("<IIQ")
_KEPT = 1


class KeepMerged(Keeper):
    """Keeps the first result of each key, its missing fields filled from those after it.

    See `filled`. Looking ahead it notes of each key which fields its results have had so far, and
    puts aside what a later one adds; most add nothing. Of an entry in the table, the first number
    says whether the key's result was kept, the second which outline it has (0: not known), and the
    third where what was put aside begins (0: nowhere).
    """

    looks_ahead: ClassVar[bool] = True

    def __init__(self, *, expected: int = 0, folder: Path | None = None) -> None:
        self._keys = KeyTable(_ENTRY_BYTES, expected=expected, folder=folder)
        self._aside = _Aside(folder)
        self._outlines = _Outlines()

    def note(self, results: Iterable[Result], key_of: KeyOf) -> None:
        """Put aside what later results add."""
        keys, outlines = self._keys, self._outlines
        for result in results:
            key = key_of(result)
            if key is None or result.data.__class__ is not dict:
                continue
            place, outline = keys.find(key), outlines.number(result.data)
            if place < 0:
                _write_entry(keys.memory, ~place, 0, outline, 0)
                continue
            _, known, where = _read_entry(keys.memory, place)
            union = outlines.union(known, outline)
            if union is not None:
                more = outlines.added(known, result.data)
                if where:
                    more = filled(self._aside.read(where), more)
                _write_entry(keys.memory, place, 0, union, self._aside.add(more))
        keys.rest()

    def kept(self, results: Iterable[Result], key_of: KeyOf) -> list[Result]:
        """Results of keys that did not come before, filled."""
        keys, found = self._keys, []
        for result in results:
            key = key_of(result)
            if key is not None:
                place = keys.find(key)
                if place < 0:
                    place = ~place
                is_kept, outline, where = _read_entry(keys.memory, place)
                if is_kept:
                    continue
                _write_entry(keys.memory, place, _KEPT, outline, where)
                if where and result.data.__class__ is dict:
                    result.data = filled(result.data, self._aside.read(where))
            found.append(result)
        keys.rest()
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


_Outline = tuple[str | tuple[str, "_Outline"], ...]
_Has = dict[str, "_Has | None"]


class _Outlines:
    """Which fields data have that are not null: an outline, by a number; 0 is any other."""

    def __init__(self) -> None:
        self._numbers: dict[_Outline, int] = {}
        self._has: list[_Has] = [{}]
        self._unions: dict[tuple[int, int], int | None] = {}

    def number(self, data: dict[str, Json]) -> int:
        """The number of the outline of some data."""
        return self._number(_outline(data))

    def _number(self, outline: _Outline) -> int:
        number = self._numbers.get(outline)
        if number is None:
            if len(self._has) > OUTLINES_MAX:
                return 0
            number = self._numbers[outline] = len(self._has)
            self._has.append(_has(outline))
        return number

    def union(self, known: int, more: int) -> int | None:
        """The outline of both together; None if `more` adds nothing to `known`."""
        pair = known, more
        if pair not in self._unions:
            if len(self._unions) >= OUTLINES_MAX:
                self._unions.clear()
            self._unions[pair] = self._union(known, more)
        return self._unions[pair]

    def _union(self, known: int, more: int) -> int | None:
        if not known or not more:
            return 0
        both = _together(self._has[known], self._has[more])
        return None if both == self._has[known] else self._number(_named(both))

    def added(self, known: int, data: dict[str, Json]) -> dict[str, Json]:
        """What of some data is not in an outline."""
        return _added(self._has[known], data)


def _outline(data: dict[str, Json]) -> _Outline:
    if dict not in map(type, data.values()):
        return tuple([key for key, value in data.items() if value is not None])
    return tuple(
        [
            (key, _outline(value)) if value.__class__ is dict else key
            for key, value in data.items()
            if value is not None
        ]
    )


def _has(outline: _Outline) -> _Has:
    return {
        (part if isinstance(part, str) else part[0]): (
            None if isinstance(part, str) else _has(part[1])
        )
        for part in outline
    }


def _named(has: _Has) -> _Outline:
    return tuple(key if inner is None else (key, _named(inner)) for key, inner in has.items())


def _together(first: _Has, later: _Has) -> _Has:
    found = dict(first)
    for key, inner in later.items():
        known = found.get(key, inner)
        found[key] = known if known is None or inner is None else _together(known, inner)
    return found


def _added(has: _Has, data: dict[str, Json]) -> dict[str, Json]:
    found = {}
    for key, value in data.items():
        if value is None:
            continue
        if key not in has:
            found[key] = value
        else:
            inner = has[key]
            if inner is not None and value.__class__ is dict and (more := _added(inner, value)):
                found[key] = more
    return found


class _Aside:
    """Objects put aside in a file without a name."""

    def __init__(self, folder: Path | None) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._end = 1  # since 0 means nowhere

    def add(self, value: dict[str, Json]) -> int:
        """Where it is from now on."""
        text = dumps(value)
        where = self._end
        piece = len(text).to_bytes(8, "little") + text
        while piece:
            written = os.pwrite(self._file.fileno(), piece, self._end)
            self._end += written
            piece = piece[written:]
        return where

    def read(self, where: int) -> dict[str, Json]:
        """What was put there."""
        size = int.from_bytes(os.pread(self._file.fileno(), 8, where), "little")
        found: dict[str, Json] = parse(os.pread(self._file.fileno(), size, where + 8))
        return found

    def close(self) -> None:
        """Give everything back."""
        self._file.close()


KEEPERS: dict[Keep, type[Keeper]] = {"first": KeepFirst, "last": KeepLast, "merge": KeepMerged}


class Distinct(NamedTuple):
    """What is asked for."""

    on: str
    """A column, or `auto`."""
    keep: Keep = "first"
