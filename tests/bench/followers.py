"""Clients of the live stream of events: many in one process, which only read.

    python -m tests.bench.followers PORT KEY CLIENTS

Says {"open": CLIENTS} once all of them follow, and after a line of its input what they got:
{"ids": [the first client's], "alike": clients that got the same, "received": events of all,
"seconds": from the first to the last, "p50_ms", "p99_ms": after the event's time}.
"""

import asyncio
import json
import re
import statistics
import sys
import time
from datetime import datetime
from typing import Any

import uvloop

_FIELD = re.compile(rb'^id: (\S+)|^data: .*?"time":"([^"]+)"', re.MULTILINE)


class Follower:
    """One client: what it got, and when."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.took: list[tuple[float, bytes]] = []
        """When each event came (Unix seconds), and when it happened, as it says."""

    async def follow(self, port: int, key: str, is_open: asyncio.Event) -> None:
        """Read until the server ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        writer.write(
            f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Accept: text/event-stream\r\n\r\n".encode()
        )
        await reader.readuntil(b"events follow")
        is_open.set()
        while True:
            # A chunk of the answer is whole events, so that no line is split by its framing.
            block = await reader.readuntil(b"\n\n")
            now = time.time()
            for identity, happened in _FIELD.findall(block):
                if identity:
                    self.ids.append(identity.decode())
                else:
                    self.took.append((now, happened))


async def follow(port: int, key: str, clients: int) -> None:
    """Follow until the input ends."""
    followers = [Follower() for _ in range(clients)]
    opened = [asyncio.Event() for _ in followers]
    tasks = [
        asyncio.create_task(one.follow(port, key, is_open))
        for one, is_open in zip(followers, opened, strict=True)
    ]
    await asyncio.gather(*(one.wait() for one in opened))
    _say({"open": clients})
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    _say(_told(followers))


def _told(followers: list[Follower]) -> dict[str, Any]:
    first = followers[0].ids
    took = sorted(entry for one in followers for entry in one.took)
    delays = [now - datetime.fromisoformat(at.decode()).timestamp() for now, at in took]
    shares = statistics.quantiles(delays, n=100)
    return {
        "ids": first,
        "alike": sum(one.ids == first for one in followers),
        "received": len(took),
        "seconds": took[-1][0] - took[0][0],
        "p50_ms": shares[49] * 1000,
        "p99_ms": shares[98] * 1000,
    }


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(follow(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
