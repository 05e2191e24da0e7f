"""Receivers of webhooks that do what they are told to, byte for byte, on a real socket."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Conduct = Callable[[asyncio.StreamWriter], Awaitable[bool | None]]
"""What is done about one request; True keeps the connection open for the next."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Receiver:
    """Counts what reaches it. `conducts` are followed in order, the last one again and again."""

    conducts: list[Conduct]
    port: int = 0
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """Which names were asked for by TLS (SNI)."""

    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            goes_on: bool | None = True
            while goes_on:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length:")[2].split("\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                self.heads.append(head)
                conduct = self.conducts.pop(0) if len(self.conducts) > 1 else self.conducts[0]
                goes_on = await conduct(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()
            self.tasks.discard(task)


@asynccontextmanager
async def receiving(
    *conducts: Conduct,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Receiver]:
    """A receiver of its own; without a conduct it answers 200."""
    receiver = Receiver(list(conducts) or [says(OK)])
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: receiver.names.append(name)
    server = await asyncio.start_server(receiver.serve, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in receiver.tasks:
            task.cancel()
        await asyncio.gather(*receiver.tasks)


def says(data: bytes, *, goes_on: bool = True, delay_s: float = 0.0) -> Conduct:
    """Sends bytes, after a while."""

    async def conduct(writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(delay_s)
        writer.write(data)
        await writer.drain()
        return goes_on

    return conduct


def answers(status: int, body: bytes = b"", **headers: str) -> Conduct:
    """Answers with a status; underscores in names of headers stand for hyphens."""
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Said\r\n{named}Content-Length: {len(body)}\r\n\r\n"
    return says(head.encode() + body)


def repeats(head: bytes, piece: bytes, *, pause_s: float) -> Conduct:
    """Sends a head, and then a piece again and again, without end."""

    async def conduct(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return conduct


async def hangs(_writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.sleep(60)


async def resets(writer: asyncio.StreamWriter) -> None:
    """Resets the connection instead of an answer."""
    writer.transport.abort()
