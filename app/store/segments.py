"""Frames of the log: callbacks of one run, packed and compressed together.

A frame is zstd over a header line (JSON: one `[key, received_ms, body_bytes,
conflicts_with]` for each callback) and the bodies, end to end, exactly as received. An
entry that is no callback has a fifth element, its source.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson
import zstandard

from app.erasing import Eraser
from app.model import Arrival, Logged, RunId, Source

FRAME_BYTES_MAX = 32 * 1024
"""Bodies to a frame, unless one alone is larger: reading one body costs reading its frame."""

_CALLBACK = Source.CALLBACK.value


def compressor() -> zstandard.ZstdCompressor:
    """Level 1 with tables that suit a frame: clearing larger ones takes longer than packing."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        1, window_log=17, hash_log=13, chain_log=13
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


class Entry(NamedTuple):
    """One callback of a frame."""

    key: str
    received_ms: int
    body: bytes
    conflicts_with: int | None
    source: str = _CALLBACK


def entry_of(arrival: Arrival, conflicts_with: int | None) -> Entry:
    """An arrival as an entry of a frame."""
    return Entry(arrival.key, arrival.received_ms, arrival.body, conflicts_with, arrival.source)


def logged_from(entry: Entry, run: RunId, seq: int) -> Logged:
    """An entry of a frame as the log holds it, at its place in the run's log."""
    return Logged(
        seq,
        run,
        entry.key,
        entry.body,
        entry.received_ms,
        entry.conflicts_with,
        entry.source,
    )


def split(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Entries in portions of at most `FRAME_BYTES_MAX` bytes of bodies, at least one each."""
    start = size = 0
    for place, entry in enumerate(entries):
        size += len(entry.body)
        if size > FRAME_BYTES_MAX and place > start:
            yield entries[start:place]
            start, size = place, len(entry.body)
    if start < len(entries):
        yield entries[start:]


def pack(portions: Sequence[Sequence[Entry]], compressor: zstandard.ZstdCompressor) -> list[bytes]:
    """A frame for each portion. All are made in one call, during which other threads run."""
    plain: list[bytes | bytearray | memoryview] = [
        b"".join((_header(portion), b"\n", *[entry.body for entry in portion]))
        for portion in portions
    ]
    if len(plain) == 1:
        return [compressor.compress(plain[0])]
    packed = compressor.multi_compress_to_buffer(plain, threads=1)
    return [packed[place].tobytes() for place in range(len(plain))]


def _header(portion: Sequence[Entry]) -> bytes:
    return orjson.dumps(
        [
            (e.key, e.received_ms, len(e.body), e.conflicts_with)
            if e.source == _CALLBACK
            else (e.key, e.received_ms, len(e.body), e.conflicts_with, e.source)
            for e in portion
        ]
    )


def unpack(frame: bytes, decompressor: zstandard.ZstdDecompressor) -> list[Entry]:
    """The callbacks of a frame, in order."""
    data = decompressor.decompress(frame)
    header, _, _ = data.partition(b"\n")
    at = len(header) + 1
    entries = []
    for key, received_ms, size, conflicts_with, *source in orjson.loads(header):
        entries.append(Entry(key, received_ms, data[at : at + size], conflicts_with, *source))
        at += size
    return entries


class Without(NamedTuple):
    """A frame's entries without somebody."""

    entries: list[Entry]
    changed: list[tuple[int, Entry]]
    """Those that changed, with their places."""
    results: int
    inputs: int


def without(eraser: Eraser, entries: Sequence[Entry]) -> Without | None:
    """The entries without those people; None if they name none of them."""
    found = Without(list(entries), [], 0, 0)
    for place, entry in enumerate(entries):
        erased = eraser.body(entry.body, entry.source)
        if erased is not None:
            changed = entry._replace(body=erased.body)
            found.entries[place] = changed
            found.changed.append((place, changed))
            found = found._replace(
                results=found.results + erased.results, inputs=found.inputs + erased.inputs
            )
    return found if found.changed else None
