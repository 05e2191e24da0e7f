"""File formats, and how a broken stream ends."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.downloads import Download
from app.canonical import canonical
from app.export.compression import COMPRESSIONS, Packer
from app.export.csv_writer import CsvOptions
from app.export.formats import FORMATS, JsonWriter, NdjsonWriter
from tests.collector_process import free_port

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUE = st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=2)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUE), max_size=6), st.integers(1, 3))
@settings(deadline=None)  # the first one imports what Parquet needs
def test_rows_come_back_however_they_were_portioned(
    rows: list[dict[str, object]], size: int
) -> None:
    portions = [rows[start : start + size] for start in range(0, len(rows), size)]
    files = {}
    for name, writer_type in FORMATS.items():
        writer = writer_type({"a": "text", "b": "text", "c": "text"})
        files[name] = writer.start() + b"".join(map(writer.rows, portions)) + writer.end()
    assert json.loads(files["json"]) == rows
    assert [json.loads(line) for line in files["ndjson"].split(b"\n")[:-1]] == rows
    read = pq.read_table(pa.BufferReader(files["parquet"])).to_pylist()
    assert read == [{name: _as_text(row.get(name)) for name in "abc"} for row in rows]
    table = list(csv.reader(io.StringIO(files["csv"].decode(), newline="")))
    assert table[0] == ["a", "b", "c"]
    assert len(table) == len(rows) + 1
    for cells, row in zip(table[1:], rows, strict=True):
        for name, cell in zip("abc", cells, strict=True):
            value = row.get(name)
            if isinstance(value, str):
                assert cell == value
            elif value is None:
                assert cell == ""
            else:
                assert json.loads(cell) == value


def _as_text(value: object) -> object:
    return value if value is None or isinstance(value, str) else canonical(value).decode()


def test_a_file_that_broke_off_is_no_json() -> None:
    writer = JsonWriter([])
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(writer.start() + writer.rows([{"a": 1}]))
    assert NdjsonWriter([]).start() == b""


@pytest.mark.anyio
@pytest.mark.parametrize("name", [None, *COMPRESSIONS])
@pytest.mark.parametrize("is_coded", [False, True])
async def test_a_stream_that_breaks_breaks_the_connection(name: str | None, is_coded: bool) -> None:
    """Neither end marker nor final chunk: no client takes it for whole."""
    compression = COMPRESSIONS[name] if name else None
    asked = Download(
        format=JsonWriter,
        shape="record",
        csv=CsvOptions(),
        compression=None if is_coded else compression,
        coding=compression if is_coded else None,
    )

    async def breaking(packer: Packer) -> AsyncIterator[bytes]:
        yield packer.begin(b"[\n{}")
        raise OSError("the disk is gone")

    async def endpoint(request: Request) -> Response:
        del request
        return asked.answer(breaking(asked.packer()), "x")

    port = free_port()
    app = Starlette(routes=[Route("/", endpoint)])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    serving = asyncio.ensure_future(server.serve())
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=5)) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/")
    server.should_exit = True
    await serving
