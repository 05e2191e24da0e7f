"""Compressed files: the same bytes each time, at once where they begin, whole or not at all."""

import gzip
import io
import zlib
from collections.abc import Iterable, Sequence

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.export.compression import COMPRESSIONS, Packer

each = pytest.mark.parametrize("name", COMPRESSIONS)
PIECES = st.lists(st.binary(max_size=300), min_size=2, max_size=8)


def packed(name: str, pieces: Sequence[bytes]) -> list[bytes]:
    packer = Packer(COMPRESSIONS[name])
    first, *rows, last = pieces
    return [packer.begin(first), *map(packer.add, rows), packer.end(last)]


def unpacked(name: str, file: bytes) -> bytes:
    """As a reader does that refuses what is not whole."""
    if name == "gzip":
        return gzip.decompress(file)
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    content = decompressor.decompress(file)
    if not decompressor.eof:
        raise EOFError("the frame is not whole")
    return content


def read_so_far(name: str, pieces: Iterable[bytes]) -> bytes:
    reader = (
        zlib.decompressobj(16 + zlib.MAX_WBITS)
        if name == "gzip"
        else zstandard.ZstdDecompressor().decompressobj()
    )
    return b"".join(map(reader.decompress, pieces))


@each
@given(PIECES)
def test_a_file_comes_back_and_is_the_same_each_time(name: str, pieces: list[bytes]) -> None:
    file = b"".join(packed(name, pieces))
    assert unpacked(name, file) == b"".join(pieces)
    assert b"".join(packed(name, pieces)) == file


@each
@given(PIECES, st.data())
def test_a_file_that_broke_off_is_not_whole(
    name: str, pieces: list[bytes], data: st.DataObject
) -> None:
    file = b"".join(packed(name, pieces))
    kept = data.draw(st.integers(1, len(file) - 1))
    with pytest.raises((EOFError, OSError)):
        unpacked(name, file[:kept])
    without_end = b"".join(packed(name, pieces)[:-1])
    with pytest.raises((EOFError, OSError)):
        unpacked(name, without_end)


@each
def test_the_beginning_and_the_first_rows_come_at_once(name: str) -> None:
    """A reader sees the header, and the first portion, before there is another one."""
    pieces = [b"a,b\r\n", b"1,2\r\n", b""]
    begun = packed(name, pieces)
    assert read_so_far(name, begun[:1]) == b"a,b\r\n"
    assert read_so_far(name, begun[:2]) == b"a,b\r\n1,2\r\n"


@each
def test_compression_is_worth_it(name: str) -> None:
    rows = [
        b'{"id":%d,"name":"some name","url":"https://example.com/%d"}\n' % (n, n)
        for n in range(9999)
    ]
    content = b"".join(rows)
    assert len(b"".join(packed(name, [b"", content, b""]))) < len(content) / 4


def test_gzip_bears_no_time_and_no_name() -> None:
    file = b"".join(packed("gzip", [b"a", b"b"]))
    assert file[:4] == b"\x1f\x8b\x08\x00"  # no flags
    assert file[4:8] == bytes(4)  # no time
    assert gzip.GzipFile(fileobj=io.BytesIO(file)).read() == b"ab"


def test_zstd_bears_a_checksum_as_gzip_does() -> None:
    file = b"".join(packed("zstd", [b"a", b"b"]))
    assert zstandard.get_frame_parameters(file).has_checksum


def test_without_compression_pieces_pass_as_they_are() -> None:
    packer = Packer()
    assert [packer.begin(b"a"), packer.add(b"b"), packer.end(b"c")] == [b"a", b"b", b"c"]
