"""Open dashboards, as browsers are: many in one process.

    python -m tests.bench.onlookers PORT KEY CLIENTS [RUN_UID]

Half of them look at the list of runs and half at the page of RUN_UID, if there is one. Each follows
events as its page says and asks for the live parts of it anew, no sooner than it is told. Says
{"open": CLIENTS}, and after a line of its input what they did: {"told": pieces that came by
stream, "asked": parts that were asked for anew, "refused": answers that were no 200}.
"""

import asyncio
import gzip
import json
import re
import sys
import time
from dataclasses import dataclass
from typing import Any

import httpx2
import uvloop

_LIVE_MAIN = re.compile(r'<main[^>]* data-live="([^"]+)"(?: data-live-of="([^"]+)")?')
_PART = re.compile(r'<[a-z]+[^>]*hx-get="[^>]*hx-trigger="[^>]*>')
_ADDRESS = re.compile(r'hx-get="([^"]+)"')
_TRIGGER = re.compile(r'hx-trigger="([^"]+)"')
_APART = re.compile(r'data-every="(\d+)"')


@dataclass
class Seen:
    """What all of them did."""

    told: int = 0
    asked: int = 0
    refused: int = 0


async def cookie_of(port: int, key: str) -> str:
    """The session of somebody who signed in."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        answer = await http.post("/sign-in", data={"key": key})
        return answer.headers["set-cookie"].partition(";")[0]


class Onlooker:
    """One page that is open."""

    def __init__(self, port: int, cookie: str, path: str, seen: Seen) -> None:
        self._port, self._cookie, self._path, self._seen = port, cookie, path, seen
        self._next_at: dict[str, float] = {}

    async def look(self, is_open: asyncio.Event) -> None:
        """Open the page, and follow it until cancelled."""
        headers, text = await self._get(self._path)
        live = _LIVE_MAIN.search(text)
        assert live is not None, f"{self._path} follows nothing: {text[:200]}"
        pause_s = int(headers["x-refresh-after"]) / 1000
        parts = await self._open_parts(text, pause_s)
        query = f"types={live[1]}" + (f"&run_uid={live[2]}" if live[2] else "")
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        writer.write(
            f"GET /api/v1/events?{query} HTTP/1.1\r\nHost: x\r\nCookie: {self._cookie}\r\n"
            "Accept: text/event-stream\r\n\r\n".encode()
        )
        await reader.readuntil(b"events follow")
        is_open.set()
        while True:
            block = await reader.readuntil(b"\n\n")
            if b"event: " not in block:
                continue
            self._seen.told += 1
            if b"event: run.progress" in block and self._path == "/":
                continue  # the rows show it by themselves
            for part, apart_s in parts.items():
                if time.monotonic() >= self._next_at[part]:
                    headers, _ = await self._get(part)
                    self._seen.asked += 1
                    pause_s = max(apart_s, int(headers["x-refresh-after"]) / 1000)
                    self._next_at[part] = time.monotonic() + pause_s

    async def _open_parts(self, text: str, pause_s: float) -> dict[str, float]:
        """Ask for what comes with the page; the seconds between two askings for each live part."""
        parts = {}
        for part in _PART.findall(text):
            address, trigger = _ADDRESS.search(part), _TRIGGER.search(part)
            assert address, part
            assert trigger, part
            path = address[1].replace("&amp;", "&")
            apart = _APART.search(part)
            if "live" in trigger[1]:
                parts[path] = int(apart[1]) / 1000 if apart else 0.0
                self._next_at[path] = time.monotonic() + max(pause_s, parts[path])
            if "load" in trigger[1]:
                await self._get(path)
        return parts

    async def _get(self, path: str) -> tuple[dict[str, str], str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {self._cookie}\r\nHX-Request: true\r\n"
            "HX-Target: runs\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode()
            if path in self._next_at
            else f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {self._cookie}\r\n"
            "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode()
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        if " 200 " not in lines[0]:
            self._seen.refused += 1
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return headers, body.decode()


async def look_on(port: int, key: str, clients: int, run_uid: str | None) -> None:
    """Look on until the input ends."""
    seen = Seen()
    cookie = await cookie_of(port, key)
    paths = ["/", f"/runs/{run_uid}" if run_uid else "/"]
    opened = [asyncio.Event() for _ in range(clients)]
    tasks = [
        asyncio.create_task(Onlooker(port, cookie, paths[number % 2], seen).look(is_open))
        for number, is_open in enumerate(opened)
    ]
    for task, is_open in zip(tasks, opened, strict=True):
        waiting = asyncio.create_task(is_open.wait())
        await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    _say({"open": clients})
    await asyncio.to_thread(sys.stdin.readline)
    broken = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    _say({"told": seen.told, "asked": seen.asked, "refused": seen.refused, "broken": len(broken)})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run = sys.argv[4] if len(sys.argv) > 4 else None
    uvloop.run(look_on(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), run))
