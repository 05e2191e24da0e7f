"""Files as streams: what comes when, and on which thread the work is done."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.export import stream
from app.export.compression import COMPRESSIONS, Packer
from app.export.csv_writer import CsvWriter
from app.export.records import Result
from app.export.stream import results_file
from app.store.views import ResultFilter, RunSnapshot
from tests.export.test_compression import read_so_far
from tests.export.test_csv_writer import result


class ThreadsOfPacker(Packer):
    """Notes on which threads rows were compressed."""

    def __init__(self, name: str) -> None:
        super().__init__(COMPRESSIONS[name])
        self.threads: set[int] = set()

    def add(self, piece: bytes) -> bytes:
        self.threads.add(threading.get_ident())
        return super().add(piece)


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_the_first_rows_come_before_the_next_are_read(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """And the event loop compresses none of them."""
    read = 0

    async def portions(*_: Any, **__: Any) -> AsyncIterator[list[list[Result]]]:
        nonlocal read
        for number in range(3):
            read += 1
            yield [[result({"a": number})]]

    class Unchanging:
        """Knows no run, so that none has changed."""

        async def run(self, run_uid: str) -> None:
            pass

    monkeypatch.setattr(stream, "_unread", portions)
    packer = ThreadsOfPacker(name)
    reader: Any = Unchanging()

    async def pull() -> tuple[list[bytes], list[int]]:
        pieces, reads = [], []
        run = RunSnapshot("run-1", 9)
        async for piece in results_file(
            reader, [run], ResultFilter(), (), CsvWriter(["a"]), shape="flat", packer=packer
        ):
            pieces.append(piece)
            reads.append(read)
        return pieces, reads

    pieces, reads = asyncio.run(pull())
    assert reads[:2] == [0, 1]
    assert read_so_far(name, pieces[:1]) == b"a\r\n"
    assert read_so_far(name, pieces[:2]) == b"a\r\n0\r\n"
    assert read_so_far(name, pieces) == b"a\r\n0\r\n1\r\n2\r\n"
    assert packer.threads
    assert threading.get_ident() not in packer.threads
