"""Where webhooks go: a receiver on many ports that answers at once, and knows when each came.

    python -m tests.bench.sink PORTS

Says {"ports": […]}, and after each line of its input what came since the one before:
{"came": [[WHEN_MS, EVENT_MS, ID], …]}, times in Unix milliseconds.
"""

import asyncio
import json
import sys
import time
from datetime import datetime
from typing import Any

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LENGTH = b"content-length:"

came: list[tuple[int, bytes]] = []
"""When the first byte of each request came, in nanoseconds, and its body."""


class Sink(asyncio.Protocol):
    """Reads requests of HTTP/1.1, as little of them as it can."""

    def __init__(self) -> None:
        self._buffer = b""
        self._began_ns = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._began_ns = time.time_ns()
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        _, _, after = head.lower().partition(_LENGTH)
        if len(rest) < int(after.partition(b"\r\n")[0]):
            return
        self._transport.write(_ANSWER)
        came.append((self._began_ns, rest))
        self._buffer = b""


def _told() -> list[tuple[float, float, str]]:
    found, came[:] = list(came), []
    return [(when_ns / 1e6, *_event(json.loads(body))) for when_ns, body in found]


def _event(event: dict[str, Any]) -> tuple[float, str]:
    time_ms = datetime.fromisoformat(event["time"]).timestamp() * 1000
    return event.get("sent_ns", time_ms * 1e6) / 1e6, event["id"]


async def serve(ports: int) -> None:
    """Receive until the input ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Sink, "127.0.0.1", 0) for _ in range(ports)]
    _say({"ports": [server.sockets[0].getsockname()[1] for server in servers]})
    while await asyncio.to_thread(sys.stdin.readline):
        _say({"came": _told()})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
