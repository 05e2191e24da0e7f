"""A set of keys, of any size: in a file without a name, so that it need not stay in memory."""

import mmap
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

KEY_BYTES: Final = 16
_SLOTS_MIN: Final = 2**12
_SLOTS_EXPECTED_MAX: Final = 2**22
_RESTS_FROM_BYTES: Final = 256 * 1024**2
"""Of a smaller table all pages may stay in memory, where the kernel has no other use for it."""
_RESTS_EVERY: Final = 10_000
_NO_KEY: Final = bytes(KEY_BYTES)


class KeyTable:
    """Keys of 16 bytes, with some bytes for each. For one thread at a time.

    Open addressing over a mapped file: the kernel writes it out where memory is short, and the
    process lets go of its pages in `rest`. It grows by doubling, so that a quarter of it is free.
    """

    def __init__(
        self, value_bytes: int = 0, *, expected: int = 0, folder: Path | None = None
    ) -> None:
        """`expected` is about how many keys will come; `folder` is where its file is.

        Raises OSError if there is no room for it, as `find` does where it grows.
        """
        self._entry_bytes = KEY_BYTES + value_bytes
        self._folder = folder
        self._count = 0
        self._found = 0
        slots = _SLOTS_MIN
        while slots < min(expected, _SLOTS_EXPECTED_MAX):
            slots *= 2
        self._open(slots)

    def __len__(self) -> int:
        return self._count

    def _open(self, slots: int) -> None:
        size = slots * self._entry_bytes
        self._file: BinaryIO = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        # All of it at once: were a disk full later, writing to memory would end the process.
        os.posix_fallocate(self._file.fileno(), 0, size)
        self.memory = mmap.mmap(self._file.fileno(), size)
        """Where the values are; see `find`."""
        self._mask = slots - 1
        self._bytes = size
        self._count_max = slots * 3 // 4

    def find(self, key: bytes) -> int:
        """Where in `memory` the value of a key begins; ~where, if it was not there until now.

        New values are zeros. Places hold until the next key is added.
        """
        if key == _NO_KEY:
            key = b"\1" + key[1:]
        memory, size = self.memory, self._entry_bytes
        place = (hash(key) & self._mask) * size
        while True:
            found = memory[place : place + KEY_BYTES]
            if found == key:
                return place + KEY_BYTES
            if found == _NO_KEY:
                break
            place += size
            if place == self._bytes:
                place = 0
        if self._count == self._count_max:
            self._grow()
            return self.find(key)
        memory[place : place + KEY_BYTES] = key
        self._count += 1
        return ~(place + KEY_BYTES)

    def _grow(self) -> None:
        old, file, size = self.memory, self._file, self._entry_bytes
        self._open(2 * (self._mask + 1))
        memory, mask, end = self.memory, self._mask, self._bytes
        for start in range(0, len(old), size):
            key = old[start : start + KEY_BYTES]
            if key == _NO_KEY:
                continue
            place = (hash(key) & mask) * size
            while memory[place : place + KEY_BYTES] != _NO_KEY:
                place += size
                if place == end:
                    place = 0
            memory[place : place + size] = old[start : start + size]
        old.close()
        file.close()

    def rest(self, found: int) -> None:
        """After so many keys were looked up: let go of the memory of a large table, now and then.

        Nothing of it is lost.
        """
        self._found += found
        if self._bytes >= _RESTS_FROM_BYTES and self._found >= _RESTS_EVERY:
            self._found = 0
            self.memory.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Give everything back."""
        self.memory.close()
        self._file.close()


def packed(form: str) -> tuple[int, Callable[..., tuple[int, ...]], Callable[..., None]]:
    """How many bytes values of this form take, and what reads and writes them in a table."""
    made = struct.Struct(form)
    return made.size, made.unpack_from, made.pack_into
