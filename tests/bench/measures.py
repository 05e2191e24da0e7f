"""What is measured, and what is to be reached: each measure is ratios within one run."""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import Bodies, Measured, wrk
from tests.bench.servers import SERVER_CORE, Running, running, slow_disk


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    name: str
    value: float
    target: float
    is_at_least: bool = True
    detail: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target if self.is_at_least else self.value <= self.target


@dataclass(frozen=True, slots=True)
class Bench:
    """How long and how often, and where."""

    folder: Path
    rounds: int
    seconds: float
    say: Callable[[str], None]


def acknowledging(bench: Bench) -> Iterator[Figure]:
    """2 KB bodies, 64 connections: against a server that does nothing, and naive receivers."""
    bodies = Bodies(bench.folder, 1)
    rounds: dict[str, list[Measured]] = {kind: [] for kind in "NWSC"}
    shares = ""
    for number in range(bench.rounds):
        for kind in "NWSC":
            bench.say(f"acknowledging, round {number + 1}: {kind}")
            with running(kind) as server:
                wrk(server.port, bodies, seconds=1)
                before, started = server.cpu_s(), time.monotonic()
                rounds[kind].append(wrk(server.port, bodies, seconds=bench.seconds))
                shares = shares_of(server, before, time.monotonic() - started)
                if kind == "C":
                    verify(server, at_least=rounds[kind][-1].distinct - 64)
    rate = {kind: statistics.median(m.rate for m in found) for kind, found in rounds.items()}
    p50 = {kind: statistics.median(m.p50_ms for m in found) for kind, found in rounds.items()}
    p99 = {kind: statistics.median(m.p99_ms for m in found) for kind, found in rounds.items()}
    detail = (
        f"{rate['C']:,.0f}/s; N {rate['N']:,.0f}, W {rate['W']:,.0f}, S {rate['S']:,.0f}; {shares}"
    )
    yield Figure("acknowledge / N", rate["C"] / rate["N"], 0.75, detail=detail)
    yield Figure("acknowledge / W", rate["C"] / rate["W"], 6)
    yield Figure("acknowledge / S", rate["C"] / rate["S"], 1.5)
    detail = f"p50 {p50['C']:.1f} ms, p99 {p99['C']:.1f} ms; N {p50['N']:.1f}, {p99['N']:.1f}"
    yield Figure("p99 / p99 of N", p99["C"] / p99["N"], 3.5, is_at_least=False, detail=detail)


def large_bodies(bench: Bench) -> Iterator[Figure]:
    """60 KB bodies of 25 results."""
    bodies = Bodies(bench.folder, 25)
    rates: dict[str, list[float]] = {"N": [], "C": []}
    for number in range(bench.rounds):
        for kind in "NC":
            bench.say(f"60 KB bodies, round {number + 1}: {kind}")
            with running(kind) as server:
                rates[kind].append(wrk(server.port, bodies, seconds=bench.seconds).rate)
    rate = {kind: statistics.median(found) for kind, found in rates.items()}
    detail = f"{rate['C']:,.0f}/s; N {rate['N']:,.0f}; bodies of {bodies.mean_bytes:,} bytes"
    yield Figure("60 KB bodies / N", rate["C"] / rate["N"], 0.25, detail=detail)


def slow_disks(bench: Bench) -> Iterator[Figure]:
    """The same with every fsync 5 ms slower."""
    bodies = Bodies(bench.folder, 1)
    env = slow_disk(bench.folder, 5)
    rates: dict[str, list[float]] = {"N": [], "W": [], "C 64": [], "C 256": []}
    for number in range(bench.rounds):
        for name, found in rates.items():
            bench.say(f"slow disk, round {number + 1}: {name}")
            kind, _, connections = name.partition(" ")
            with running(kind, env={} if kind == "N" else env) as server:
                count = int(connections or 64)
                found.append(
                    wrk(server.port, bodies, seconds=bench.seconds, connections=count).rate
                )
    rate = {name: statistics.median(found) for name, found in rates.items()}
    detail = f"{rate['C 64']:,.0f}/s; N {rate['N']:,.0f}; W {rate['W'] / rate['N']:.3f} N"
    yield Figure("5 ms fsync, 64 / N", rate["C 64"] / rate["N"], 0.35, detail=detail)
    yield Figure("5 ms fsync, 256 / N", rate["C 256"] / rate["N"], 0.55)


def sustained(bench: Bench) -> Iterator[Figure]:
    """A minute of load with the projection keeping up; memory at the same time."""
    bodies = Bodies(bench.folder, 1)
    do_nothing = list(do_nothing_rates(bench, bodies))
    bench.say("sustained: the collector, 60 s")
    with running("C") as server, peak_rss(server) as peak:
        before, started = server.cpu_s(), time.monotonic()
        found = wrk(server.port, bodies, seconds=60)
        waiting, lag_s = server.lag()
        shares = shares_of(server, before, time.monotonic() - started)
        catch_up_s = server.catch_up_s()
        verify(server, at_least=found.distinct - 64)
    do_nothing += do_nothing_rates(bench, bodies)  # before and after: machines drift in a minute
    n = statistics.median(do_nothing)
    yield Figure("60 s / N", found.rate / n, 0.45, detail=f"{found.rate:,.0f}/s; {shares}")
    detail = f"{waiting:,} callbacks"
    yield Figure("lag at the end, s", lag_s, 2, is_at_least=False, detail=detail)
    yield Figure("projected after, s", catch_up_s, 5, is_at_least=False)
    yield Figure("resident memory, MB", max(peak), 200, is_at_least=False)


def sustained_rows(bench: Bench) -> Iterator[Figure]:
    """Rows a second of 25-result bodies, against a bare loop that parses and inserts them."""
    bodies = Bodies(bench.folder, 25)
    bench.say("rows: the bare loop")
    loop = subprocess.run(
        ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "tests.bench.bare_loop",
         str(bodies.path), str(bench.folder / "bare.db")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    bare = json.loads(loop.stdout)["rows_per_s"]
    bench.say("rows: the collector, 60 s")
    with running("C") as server:
        before, started = server.cpu_s(), time.monotonic()
        found = wrk(server.port, bodies, seconds=60)
        _, lag_s = server.lag()
        shares = shares_of(server, before, time.monotonic() - started)
        catch_up_s = server.catch_up_s()
        verify(server, at_least=found.distinct - 64)
        stored, received = server.disk_bytes(), found.distinct * bodies.mean_bytes
    rows = found.rate * 25
    detail = (
        f"{rows:,.0f}/s; loop {bare:,.0f}/s; lag {lag_s:.1f} s, then {catch_up_s:.1f} s; {shares}"
    )
    yield Figure("25-result rows / bare loop", rows / bare, 0.5, detail=detail)
    yield Figure("database / received, 60 KB", stored / received, 1.3, is_at_least=False)


def growth(bench: Bench) -> Iterator[Figure]:
    """With 5,000,000 results stored: the rate against the empty database's."""
    small, large = Bodies(bench.folder, 1), Bodies(bench.folder, 25)
    with running("C") as server, peak_rss(server) as peak:
        bench.say("growth: the empty database")
        empty = statistics.median(_bursts(server, small, bench))
        received = 0
        stored = server.counts()["results"]
        while stored < 5_000_000:
            bench.say(f"growth: {stored:,} of 5,000,000 results stored")
            found = wrk(server.port, large, seconds=30)
            received += found.distinct * large.mean_bytes
            server.catch_up_s()
            stored = server.counts()["results"]
        bench.say("growth: the full database")
        full = statistics.median(_bursts(server, small, bench))
        received += int((empty + full) * bench.seconds * bench.rounds) * small.mean_bytes
        on_disk = server.disk_bytes()
    detail = f"{full:,.0f}/s against {empty:,.0f}/s with {stored:,} results"
    yield Figure("full / empty", full / empty, 0.8, detail=detail)
    yield Figure("database / received", on_disk / received, 1.3, is_at_least=False)
    yield Figure("memory with 5,000,000, MB", max(peak), 200, is_at_least=False)


def backlog(bench: Bench) -> Iterator[Figure]:
    """1,000,000 unprojected callbacks, drained after a restart."""
    bodies, folder = Bodies(bench.folder, 1), bench.folder / "backlog"
    folder.mkdir()
    sent = 0
    with running("C", folder=folder, env={"COLLECTOR_PROJECTION_PAUSED": "true"}) as server:
        while sent < 1_000_000:
            bench.say(f"backlog: {sent:,} of 1,000,000 received")
            sent += wrk(server.port, bodies, seconds=20).distinct
    bench.say("backlog: draining")
    with running("C", folder=folder) as server, peak_rss(server) as peak:
        took_s = server.catch_up_s(limit_s=1200)
        verify(server, at_least=sent - 64 * 60)
    detail = f"{sent:,} callbacks in {took_s:.0f} s"
    yield Figure("memory draining, MB", max(peak), 200, is_at_least=False, detail=detail)


def exports(bench: Bench) -> Iterator[Figure]:
    """CSV and NDJSON of 1,000,000 results, while callbacks keep coming."""
    bodies = Bodies(bench.folder, 25)
    with running("C", env={"COLLECTOR_LOG_LEVEL": "warning"}) as server:
        while (stored := server.counts()["results"]) < 1_000_000:
            bench.say(f"exports: {stored:,} of 1,000,000 results stored")
            wrk(server.port, bodies, seconds=10)
            server.catch_up_s()
        idle = server.rss_mb()
        for form in ("csv", "ndjson"):
            bench.say(f"exports: {form}")
            with peak_rss(server) as peak, _modest_load(server, bodies):
                size, started = 0, time.monotonic()
                url = f"{server.url}/api/v1/results?format={form}"
                with server.http.stream("GET", url, headers=_AS_IT_IS) as answer:
                    for chunk in answer.iter_raw():
                        size += len(chunk)
                took_s = time.monotonic() - started
            detail = f"{stored:,} results, {size / 1e6:,.0f} MB in {took_s:.0f} s"
            over = max(peak) - idle
            yield Figure(f"{form}: MB over idle", over, 150, is_at_least=False, detail=detail)


_AS_IT_IS = {"Accept-Encoding": "identity"}

MEASURES = {
    "ack": acknowledging,
    "large": large_bodies,
    "slow": slow_disks,
    "sustained": sustained,
    "rows": sustained_rows,
    "growth": growth,
    "backlog": backlog,
    "exports": exports,
}
CALM_S = 6
"""After a load that lasted, the next one counts as a burst only after a calm; see `app.burst`."""

LONG = ("growth", "backlog", "exports", "distinct")


def _bursts(server: Running, bodies: Bodies, bench: Bench) -> Iterator[float]:
    for _ in range(bench.rounds):
        time.sleep(CALM_S)
        yield wrk(server.port, bodies, seconds=bench.seconds).rate
        server.catch_up_s()


def do_nothing_rates(bench: Bench, bodies: Bodies) -> Iterator[float]:
    bench.say("the server that does nothing")
    with running("N") as server:
        for _ in range(3):
            yield wrk(server.port, bodies, seconds=bench.seconds).rate


def verify(server: Running, *, at_least: int) -> None:
    """Every acknowledged callback is a row, once. Raises AssertionError."""
    server.catch_up_s()
    counts = server.counts()
    if counts["callbacks"] < at_least:
        raise AssertionError(f"{at_least:,} callbacks were acknowledged, {counts} are stored")
    if not counts["duplicates"]:
        raise AssertionError("no repeat was sent: the load is not what it should be")


def shares_of(server: Running, before: dict[str, float], took_s: float) -> str:
    after = server.cpu_s()
    return ", ".join(f"{part} {(after[part] - before[part]) / took_s:.0%}" for part in after)


@contextmanager
def peak_rss(server: Running) -> Iterator[list[float]]:
    samples = [server.rss_mb()]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.2):
            samples.append(server.rss_mb())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


@contextmanager
def _modest_load(server: Running, bodies: Bodies) -> Iterator[None]:
    """A second of load over four connections, again and again."""
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            wrk(server.port, bodies, seconds=1, connections=1)
            time.sleep(2)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
