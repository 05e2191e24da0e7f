"""A trailer stands at the end of files that are whole, and of no other."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from app.export import stream
from app.export.records import Result
from app.export.stream import OrderChangedError, Written, results_file
from app.export.trailer import TrailedNdjsonWriter
from app.store.views import ResultFilter, RunSnapshot
from tests.export.test_csv_writer import result


@pytest.mark.parametrize("breaks_off", [False, True])
def test_only_whole_files_have_a_trailer(
    monkeypatch: pytest.MonkeyPatch, *, breaks_off: bool
) -> None:
    async def portions(*_: Any, **__: Any) -> AsyncIterator[Sequence[Result]]:
        for number in range(3):
            yield [result({"a": number})]

    class Ordered:
        async def run(self, _: str) -> Any:
            return SimpleNamespace(order_no=int(breaks_off))

    monkeypatch.setattr(stream, "results", portions)
    written = Written()
    pieces: list[bytes] = []

    async def pull() -> None:
        writer = TrailedNdjsonWriter({}, lambda: {"rows": written.rows})
        reader: Any = Ordered()
        async for piece in results_file(
            reader,
            [RunSnapshot("run-1", 9)],
            ResultFilter(),
            (),
            writer,
            shape="record",
            written=written,
        ):
            pieces.append(piece)  # noqa: PERF401 - those before it broke off stay

    if breaks_off:
        with pytest.raises(OrderChangedError):
            asyncio.run(pull())
    else:
        asyncio.run(pull())
    lines = [json.loads(line) for line in b"".join(pieces).splitlines()]
    assert [line["data"] for line in lines[:3]] == [{"a": 0}, {"a": 1}, {"a": 2}]
    assert lines[3:] == ([] if breaks_off else [{"_trailer": {"rows": 3}}])
