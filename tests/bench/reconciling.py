"""Reconciliation: rows a second from a local Edges without limits, and what receiving loses."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2

from tests.bench.load import LOAD_CORE, Bodies, wrk
from tests.bench.measures import Bench, Figure, peak_rss, shares_of
from tests.bench.servers import SERVER_CORE, Running, running
from tests.collector_process import free_port

INPUTS = 100_000
PAGE = 500
CALM_S = 6.0
"""After it a burst is let through: a load that lasts is held back, by what is projected."""

BOTH = f"{SERVER_CORE},{LOAD_CORE}"
KEY = "simulated-key"
SCENARIO = (
    '{"seed": 7, "results_per_input": [1, 1], "page_size": 10, "result_templates": 200,'
    ' "failed_share": 0.0}'
)


@dataclass(frozen=True, slots=True)
class Edges:
    """A simulated Edges in a process of its own."""

    origin: str
    http: httpx2.Client

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def launch(self) -> str:
        """The uid of a run that has ended, and calls nobody back."""
        inputs = [
            {"linkedin_profile_url": f"https://l/{n}", "custom_data": {"row_id": f"row-{n}"}}
            for n in range(INPUTS)
        ]
        url = f"{self.base_url}/actions/linkedin-extract-people/run/async"
        uid = str(self.http.post(url, json={"inputs": inputs}).json()["run_uid"])
        while self.http.get(f"{self.base_url}/runs/{uid}").json()["status"] != "SUCCEEDED":
            time.sleep(0.2)
        return uid

    def requests(self) -> int:
        """How often it was asked since the last time."""
        counts = self.http.get(f"{self.origin}/_simulator/requests").json()
        self.http.delete(f"{self.origin}/_simulator/requests")
        return int(counts["total"])

    def walk(self, run_uid: str) -> float:
        """Seconds that a client takes which reads all pages and does nothing with them."""
        started = time.monotonic()
        for kind in ("inputs", "outputs"):
            url: str | None = f"{self.base_url}/runs/{run_uid}/{kind}?limit={PAGE}"
            while url is not None:
                url = self.http.get(url).headers.get("x-pagination-next")
        return time.monotonic() - started


@contextmanager
def simulated_edges() -> Iterator[Edges]:
    """On whichever core is free: it works while the collector waits for it."""
    port = free_port()
    process = subprocess.Popen(
        [
            *("taskset", "-c", BOTH, sys.executable, "-m", "app", "simulate"),
            *("--port", str(port), "--api-key", KEY, "--scenario", SCENARIO),
        ],
        stderr=subprocess.DEVNULL,
    )
    http = httpx2.Client(headers={"X-API-Key": KEY}, trust_env=False, timeout=120)
    edges = Edges(f"http://127.0.0.1:{port}", http)
    try:
        while True:
            try:
                http.get(f"{edges.origin}/_simulator/healthz")
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        yield edges
    finally:
        process.terminate()
        process.wait(timeout=30)
        http.close()


def reconcile_s(server: Running, run_uid: str, limit_s: float = 300) -> float:
    """Seconds from asking for it until the run is proven complete. Raises TimeoutError."""
    started = time.monotonic()
    url = f"{server.url}/api/v1/runs/{run_uid}"
    server.http.post(f"{url}/reconcile").raise_for_status()
    while time.monotonic() - started < limit_s:
        run = server.http.get(url).json()
        if run.get("completeness") == "complete":
            if run["counts"]["results"] != INPUTS or run["counts"]["inputs"] != INPUTS:
                raise RuntimeError(f"counted wrongly: {run['counts']}")
            return time.monotonic() - started
        time.sleep(0.1)
    raise TimeoutError(f"not complete after {limit_s} s: {run}")


def reconciling(bench: Bench) -> Iterator[Figure]:
    """100,000 inputs and as many outputs, of a run that never called back."""
    with simulated_edges() as edges:
        bench.say("reconciling: runs are made")
        env = {
            "COLLECTOR_EDGES_BASE_URL": edges.base_url,
            "COLLECTOR_EDGES_API_KEY": KEY,
            "COLLECTOR_LOG_LEVEL": "warning",
        }
        runs = [edges.launch() for _ in range(bench.rounds + 1)]
        walks, took = [], []
        edges.requests()
        with running("C", env=env, cores=BOTH) as server, peak_rss(server) as peak:
            for run_uid in runs[:-1]:
                bench.say("reconciling: a bare walk, and the collector")
                walks.append(edges.walk(run_uid))
                edges.requests()
                took.append(reconcile_s(server, run_uid))
                asked = edges.requests()
        rate = statistics.median(2 * INPUTS / one for one in took)
        bare = statistics.median(2 * INPUTS / one for one in walks)
        detail = f"{rate / bare:.2f} of a walk that keeps nothing ({bare:,.0f}/s)"
        yield Figure("reconciled rows a second", rate, 15_000, detail=detail)
        yield Figure("its memory, MB", max(peak), 300, is_at_least=False)
        pages = 2 * INPUTS / PAGE
        yield Figure("requests / pages", asked / pages, 1.05, is_at_least=False)
        yield from _receiving(bench, edges, env, runs[-1])


def _receiving(bench: Bench, edges: Edges, env: dict[str, str], run_uid: str) -> Iterator[Figure]:
    """What senders of callbacks notice of it."""
    bodies = Bodies(bench.folder, 1)
    with running("C", env=env) as server:
        wrk(server.port, bodies, seconds=1)
        alone = wrk(server.port, bodies, seconds=bench.seconds).rate
        server.catch_up_s()
        time.sleep(CALM_S)
        bench.say("receiving while a run is reconciled")
        server.http.post(f"{server.url}/api/v1/runs/{run_uid}/reconcile").raise_for_status()
        time.sleep(0.5)
        edges.requests()
        before, started = server.cpu_s(), time.monotonic()
        during = wrk(server.port, bodies, seconds=bench.seconds).rate
        shares = shares_of(server, before, time.monotonic() - started)
        pages = edges.requests()
    detail = f"{during:,.0f}/s, {alone:,.0f}/s alone; {pages} pages were read meanwhile; {shares}"
    yield Figure("receiving meanwhile / alone", during / alone, 0.75, detail=detail)
