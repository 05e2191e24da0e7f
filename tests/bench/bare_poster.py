"""The baseline for webhooks: httpx2 that posts, and does nothing else.

    python -m tests.bench.bare_poster COUNT PAUSE_S CONCURRENCY PORT…

Posts COUNT bodies to each port, CONCURRENCY at a time, with a pause after each. The body says
when it was sent. Each port has a client to itself: with one for all, httpx2 looks at every
connection for each request, and posts half as many.
"""

import asyncio
import json
import sys
import time

import httpx2
import uvloop

_LIKE_A_RUN = {
    "specversion": "1.0",
    "source": "http://127.0.0.1",
    "type": "edges.collector.run.succeeded",
    "time": "2026-11-24T10:00:00.000Z",
    "data": {"run_uid": "x", "counts": {}, "padding": "x" * 500},
}


async def post(count: int, pause_s: float, concurrency: int, ports: list[int]) -> None:
    """Post to all ports at once."""
    await asyncio.gather(*(_post_to(port, count, pause_s, concurrency) for port in ports))


async def _post_to(port: int, count: int, pause_s: float, concurrency: int) -> None:
    numbers = iter(range(count))

    async def posting() -> None:
        for number in numbers:
            event = _LIKE_A_RUN | {"id": f"{port}-{number}", "sent_ns": time.time_ns()}
            body = json.dumps(event).encode()
            await client.post(f"http://127.0.0.1:{port}/", content=body)
            await asyncio.sleep(pause_s)

    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=60) as client:
        await asyncio.gather(*(posting() for _ in range(concurrency)))


def main() -> None:
    """Post what was asked for."""
    count, pause_s, concurrency, *ports = sys.argv[1:]
    uvloop.run(post(int(count), float(pause_s), int(concurrency), list(map(int, ports))))


if __name__ == "__main__":
    main()
