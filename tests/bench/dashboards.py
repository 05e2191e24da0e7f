"""The dashboard: how long its pages take, what they weigh, and what many open ones cost."""

import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.bench.load import LOAD_CORE, Bodies, wrk
from tests.bench.measures import Bench, Figure
from tests.bench.notifying import beside
from tests.bench.servers import Running, running
from tests.collector_process import ADMIN_KEY

RUNS = 10_000
RESULTS = 1_000_000
OPEN = 200
LOOKED_AT = 30
"""Times that each page is asked for."""

_PARTS = re.compile(r'(?:src|href)="(/static/[^"]+)"')
_ENV = {"COLLECTOR_LOG_LEVEL": "warning"}


def dashboards(bench: Bench) -> Iterator[Figure]:
    """Pages of a collector with many runs and a large one; then 200 of them open under load."""
    with running("C", env=_ENV) as server, _browser(server) as browser:
        bench.say(f"dashboard: {RUNS:,} runs")
        small = Bodies(bench.folder, 1)
        while _count(server, RUNS) < RUNS:
            wrk(server.port, small, seconds=2, run_callbacks=1)
        server.catch_up_s()
        yield from _page("list of runs", browser, "/")
        bench.say(f"dashboard: a run of {RESULTS:,} results")
        large = Bodies(bench.folder, 25)
        while server.counts()["results"] < RESULTS + RUNS:
            wrk(server.port, large, seconds=10, run_callbacks=10**9)
        server.catch_up_s()
        yield from _page("page of a run", browser, f"/runs/{_largest(server)}")
    yield from _open_under_load(bench)


def _page(name: str, browser: httpx2.Client, path: str) -> Iterator[Figure]:
    took, weight = [], 0
    for number in range(LOOKED_AT):
        started = time.monotonic()
        answer = browser.get(path)
        took.append((time.monotonic() - started) * 1000)
        assert answer.status_code == 200, answer.text
        if not number:
            weight = _bytes(answer) + sum(
                _bytes(browser.get(part.replace("&amp;", "&")))
                for part in set(_PARTS.findall(answer.text))
            )
    detail = f"the slowest of {LOOKED_AT} {max(took):.0f} ms"
    median = statistics.median(took)
    yield Figure(f"{name}: p50, ms", median, 100, is_at_least=False, detail=detail)
    yield Figure(f"{name}: KB at first", weight / 1000, 120, is_at_least=False)


def _open_under_load(bench: Bench) -> Iterator[Figure]:
    """Callbacks acknowledged a second with 200 dashboards open, against none."""
    bodies = Bodies(bench.folder, 1)
    rates: dict[int, list[float]] = {0: [], OPEN: []}
    seen = {}
    for number in range(bench.rounds):
        for clients, found in rates.items():
            bench.say(f"open dashboards, round {number + 1}: {clients}")
            with running("C", env=_ENV) as server:
                wrk(server.port, bodies, seconds=1)
                server.catch_up_s()
                if not clients:
                    found.append(wrk(server.port, bodies, seconds=3 * bench.seconds).rate)
                    continue
                run_uid = _largest(server)
                # Browsers are on other machines: here, beside the load.
                beside_load = beside(
                    "onlookers", server.port, ADMIN_KEY, clients, run_uid, cores=str(LOAD_CORE)
                )
                with beside_load as onlookers:
                    onlookers.heard()
                    found.append(wrk(server.port, bodies, seconds=3 * bench.seconds).rate)
                    seen = onlookers.asked()
    rate = {clients: statistics.median(found) for clients, found in rates.items()}
    detail = f"{rate[OPEN]:,.0f}/s against {rate[0]:,.0f}/s; {seen}"
    yield Figure(f"{OPEN} open dashboards / none", rate[OPEN] / rate[0], 0.9, detail=detail)


@contextmanager
def _browser(server: Running) -> Iterator[httpx2.Client]:
    client = httpx2.Client(
        base_url=server.url, trust_env=False, timeout=60, headers={"Accept-Encoding": "gzip"}
    )
    with client:
        client.post("/sign-in", data={"key": ADMIN_KEY})
        yield client


def _bytes(answer: httpx2.Response) -> int:
    return answer.num_bytes_downloaded + sum(len(k) + len(v) + 4 for k, v in answer.headers.raw)


def _count(server: Running, limit: int) -> int:
    server.catch_up_s()
    count = 0
    cursor: dict[str, str] = {}
    while count < limit:
        query = {"limit": 1000} | cursor
        page = server.http.get(f"{server.url}/api/v1/runs", params=query).json()
        count += len(page["data"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    return count


def _largest(server: Running) -> str:
    """The run with the most results, of those that called back lately."""
    page = server.http.get(f"{server.url}/api/v1/runs", params={"sort": "-updated"}).json()
    run = max(page["data"], key=lambda run: run["counts"]["results"])
    return str(run["run_uid"])
