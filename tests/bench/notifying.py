"""Notifications: how soon and how many webhooks go out, and live events to many clients."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from app.store.sqlite.driver import connect_reader
from tests.bench.load import LOAD_CORE
from tests.bench.measures import Bench, Figure, shares_of
from tests.bench.servers import SERVER_CORE, Running, running
from tests.callbacks import sent
from tests.collector_process import ADMIN_KEY, TOKEN

BOTH = f"{SERVER_CORE},{LOAD_CORE}"
ENV = {"COLLECTOR_ALLOW_PRIVATE_ENDPOINTS": "true", "COLLECTOR_LOG_LEVEL": "warning"}

RUNS = 200
IDLE_S = 0.1
"""Between two runs: longer than the worker waits for company after a small batch."""

ENDPOINTS = 50
EVENTS = 400
CONCURRENCY = 4

CLIENTS = 100
EVENTS_PER_S = 100
LIVE_S = 10


class Beside:
    """A process beside the collector, which is asked and answers in lines."""

    def __init__(self, module: str, *arguments: object, cores: str) -> None:
        command = ["taskset", "-c", cores, sys.executable, "-m", f"tests.bench.{module}"]
        self._process = subprocess.Popen(
            [*command, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def heard(self) -> Any:
        """The next line that it says."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def asked(self) -> Any:
        """What it says when asked."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self.heard()

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def beside(module: str, *arguments: object, cores: str = BOTH) -> Iterator[Beside]:
    """A module of the bench as a process, for as long as the block lasts."""
    process = Beside(module, *arguments, cores=cores)
    try:
        yield process
    finally:
        process.end()


def notifying(bench: Bench) -> Iterator[Figure]:
    """Webhooks against httpx2 that only posts, to the same receivers; then live events."""
    yield from _latency(bench)
    yield from _throughput(bench)
    yield from _live(bench)


def _latency(bench: Bench) -> Iterator[Figure]:
    """From an event's time, which is taken just before its commit, to the first byte."""
    with beside("sink", 1) as sink:
        ports = sink.heard()["ports"]
        bench.say(f"webhooks: httpx2 posts {RUNS} times, idle in between")
        _bare(RUNS, IDLE_S, 1, ports)
        bare = _delays(sink)
        with running("C", env=ENV, cores=BOTH) as server:
            _endpoints(server, ports, "run.succeeded")
            bench.say(f"webhooks: {RUNS} runs end one after another")
            with _sender(server) as send:
                for number in range(RUNS):
                    send(sent(f"c{number}", run=f"run-{number}", status="SUCCEEDED"))
                    time.sleep(IDLE_S)
            found = _delays(sink)
    if len(found) != RUNS:
        raise AssertionError(f"{len(found)} webhooks came of {RUNS} runs")
    p50, p99 = statistics.median(found), statistics.quantiles(found, n=100)[98]
    bare_p50, bare_p99 = statistics.median(bare), statistics.quantiles(bare, n=100)[98]
    detail = (
        f"p99 {p99:.1f} ms; from the event's time, taken within its transaction, to the first byte"
    )
    yield Figure("webhook p50, ms", p50, 20, is_at_least=False, detail=detail)
    yield Figure("webhook p99, ms", p99, 100, is_at_least=False)
    detail = f"p50 {bare_p50:.2f} ms, p99 {bare_p99:.1f} ms from before the call to the first byte"
    yield Figure("webhook / bare POST", p50 / bare_p50, 6, is_at_least=False, detail=detail)


def _throughput(bench: Bench) -> Iterator[Figure]:
    """Many endpoints, each an origin of its own, and many events at once."""
    bare, rates, shares = [], [], ""
    with beside("sink", ENDPOINTS) as sink:
        ports = sink.heard()["ports"]
        for number in range(bench.rounds):
            bench.say(f"webhooks, round {number + 1}: httpx2 posts {EVENTS} times to {ENDPOINTS}")
            _bare(EVENTS, 0, CONCURRENCY, ports)
            bare.append(_rate(sink))
            bench.say(f"webhooks, round {number + 1}: {EVENTS} events to {ENDPOINTS} endpoints")
            with running("C", env=ENV, cores=BOTH) as server:
                _endpoints(server, ports, "input.failed")
                before, started = server.cpu_s(), time.monotonic()
                with _sender(server) as send:
                    for event in range(EVENTS):
                        send(_failed(event))
                _until_delivered(server)
                shares = shares_of(server, before, time.monotonic() - started)
            rates.append(_rate(sink))
    rate, bare_rate = statistics.median(rates), statistics.median(bare)
    detail = f"{rate / bare_rate:.2f} of httpx2 that only posts ({bare_rate:,.0f}/s); {shares}"
    yield Figure("webhooks a second", rate, min(1_000, 0.5 * bare_rate), detail=detail)


def _live(bench: Bench) -> Iterator[Figure]:
    """Events at an even pace to clients that all follow everything."""
    offered = EVENTS_PER_S * CLIENTS
    with (
        running("C", env=ENV, cores=BOTH) as server,
        beside("followers", server.port, ADMIN_KEY, CLIENTS) as followers,
    ):
        followers.heard()
        bench.say(f"live events: {EVENTS_PER_S} a second to {CLIENTS} clients")
        before, started = server.cpu_s(), time.monotonic()
        with _sender(server) as send:
            for number in range(EVENTS_PER_S * LIVE_S):
                time.sleep(max(0.0, started + number / EVENTS_PER_S - time.monotonic()))
                send(_failed(number))
        shares = shares_of(server, before, time.monotonic() - started)
        server.catch_up_s()
        time.sleep(2)
        told = _ids(server)
        found = followers.asked()
    lost = len(told) * CLIENTS - found["received"]
    if found["ids"] != told or found["alike"] != CLIENTS or lost:
        raise AssertionError(
            f"of {len(told)} events the first client got {len(found['ids'])},"
            f" {found['alike']} of {CLIENTS} got the same; {lost} are lost"
        )
    rate = found["received"] / found["seconds"]
    delays = f"p50 {found['p50_ms']:.0f} ms, p99 {found['p99_ms']:.0f} ms after the event's time"
    detail = f"{rate:,.0f}/s of {offered:,}/s, none lost; {delays}; {shares}"
    yield Figure("live events / offered", rate / offered, 0.97, detail=detail)


# ---------------------------------------------------------------------------- parts


def _bare(count: int, pause_s: float, concurrency: int, ports: list[int]) -> None:
    command = ["taskset", "-c", BOTH, sys.executable, "-m", "tests.bench.bare_poster"]
    subprocess.run([*command, *map(str, (count, pause_s, concurrency, *ports))], check=True)


def _delays(sink: Beside) -> list[float]:
    return [when_ms - event_ms for when_ms, event_ms, _ in sink.asked()["came"]]


def _rate(sink: Beside) -> float:
    """Arrivals a second; each must have come once. Raises AssertionError."""
    came: list[tuple[float, float, str]] = sink.asked()["came"]
    if len(came) != ENDPOINTS * EVENTS:
        raise AssertionError(f"{len(came)} webhooks came of {ENDPOINTS * EVENTS}")
    times = [when_ms for when_ms, _, _ in came]
    return len(times) / (max(times) - min(times)) * 1000


def _endpoints(server: Running, ports: list[int], event_type: str) -> None:
    for port in ports:
        body = {"url": f"http://127.0.0.1:{port}/hook", "event_types": [event_type]}
        server.http.post(f"{server.url}/api/v1/endpoints", json=body).raise_for_status()


class _Sender:
    def __init__(self, url: str, http: httpx2.Client) -> None:
        self._url, self._http = url, http

    def __call__(self, body: bytes) -> None:
        self._http.post(self._url, content=body).raise_for_status()


@contextmanager
def _sender(server: Running) -> Iterator[_Sender]:
    """Sends callbacks one after another."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with httpx2.Client(headers=headers, trust_env=False, timeout=60) as http:
        yield _Sender(f"{server.url}/callbacks", http)


def _failed(number: int) -> bytes:
    error = {"label": "NO_RESULT", "message": "Nothing was found"}
    return sent(f"c{number}", row=f"row-{number}", results=None, error=error)


def _until_delivered(server: Running, limit_s: float = 300) -> None:
    """Until every delivery is recorded as such. Raises TimeoutError."""
    until = time.monotonic() + limit_s
    outbox = connect_reader(server.folder / "collector-outbox.db")
    states: dict[str, int] = {}
    while states != {"delivered": ENDPOINTS * EVENTS}:
        if time.monotonic() > until:
            raise TimeoutError(f"not all are delivered after {limit_s} s: {states}")
        time.sleep(0.25)
        states = dict(outbox.execute("SELECT state, count(*) FROM deliveries GROUP BY state"))
    outbox.close()


def _ids(server: Running) -> list[str]:
    """Of all events, in order."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        url = f"{server.url}/api/v1/events"
        page = server.http.get(url, params={"limit": "1000", **cursor}).json()
        ids += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            return ids
        cursor = {"cursor": page["next_cursor"]}
