"""Servers that answer what they are told to, byte for byte, on a real socket."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

from app.reconcile.budget import Budget, LocalBudget
from app.reconcile.client import EdgesClient
from app.reconcile.exchange import Retries, Timeouts

KEY = "a-key-to-keep"
QUICK = Retries(attempts=3, wait_first_s=0.01, wait_max_s=0.02, jitter_s=0.01, retry_after_max_s=2)


@dataclass
class Answering:
    """One answer: what is sent, and whether the connection is cut after it."""

    data: bytes
    is_cut: bool = False
    delay_s: float = 0.0


def answer(
    body: object = b"",
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    gzipped: bool = False,
    cut_at: int | None = None,
    delay_s: float = 0.0,
) -> Answering:
    """An HTTP answer; `body` becomes JSON unless it is bytes. Cut after `cut_at` bytes of it."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {"Content-Type": "application/json", **(headers or {})}
    if gzipped:
        data = gzip.compress(data)
        named["Content-Encoding"] = "gzip"
    named["Content-Length"] = str(len(data))
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    sent = data if cut_at is None else data[:cut_at]
    return Answering(
        f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + sent, cut_at is not None, delay_s
    )


NOTHING = Answering(b"", is_cut=True)
"""The connection is closed without an answer."""


@dataclass
class Misbehaving:
    """Answers in order, the last one again and again; notes what it was asked."""

    answers: list[Answering]
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """Request lines without the protocol."""
    heads: list[str] = field(default_factory=list)
    """Requests whole, up to their bodies."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (
                        int(line.split(":")[1])
                        for line in head.lower().splitlines()
                        if line.startswith("content-length")
                    ),
                    0,
                )
                await reader.readexactly(length)
                self.heads.append(head)
                self.asked.append(head.partition(" HTTP/")[0])
                one = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                await asyncio.sleep(one.delay_s)
                writer.write(one.data)
                await writer.drain()
                if one.is_cut:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, which ends it
        finally:
            writer.close()


@asynccontextmanager
async def serving(answers: Sequence[Answering]) -> AsyncIterator[Misbehaving]:
    """A server of its own."""
    misbehaving = Misbehaving(list(answers))
    server = await asyncio.start_server(misbehaving.serve, "127.0.0.1", 0)
    misbehaving.port = server.sockets[0].getsockname()[1]
    try:
        yield misbehaving
    finally:
        server.close()


@asynccontextmanager
async def client_of(
    base_url: str,
    *,
    api_key: str = KEY,
    budget: Budget | None = None,
    timeouts: Timeouts | None = None,
    retries: Retries = QUICK,
    page_limit: int = 500,
) -> AsyncIterator[EdgesClient]:
    """A client that is closed afterwards, with the retries of an impatient one."""
    client = EdgesClient(
        base_url,
        api_key,
        budget=budget or LocalBudget(),
        timeouts=timeouts,
        retries=retries,
        page_limit=page_limit,
    )
    try:
        yield client
    finally:
        await client.close()
