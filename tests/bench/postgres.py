"""What is measured with PostgreSQL, which shares one core with wrk; the receiver has the other."""

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.load import LOAD_CORE, Bodies, Measured, wrk
from tests.bench.measures import CALM_S, Bench, Figure, do_nothing_rates, shares_of, verify
from tests.bench.servers import Running, running, scratch
from tests.databases import run
from tests.postgres_server import PostgresServer

SETTINGS = ("shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min")


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A server of its own; durable, with the settings that an operator would give it first."""
    server = PostgresServer(scratch(), settings=SETTINGS, core=LOAD_CORE).start()
    try:
        yield server
    finally:
        server.remove()


@contextmanager
def emptied(server: PostgresServer, kind: str) -> Iterator[Running]:
    """A receiver of this kind on an empty database."""
    run(server.url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    env = {} if kind == "N" else {"COLLECTOR_DATABASE_URL": server.url}
    with running(kind, env=env) as receiver:
        yield receiver


def postgres_acknowledging(bench: Bench) -> Iterator[Figure]:
    """2 KB bodies, 64 connections: against a server that does nothing, and single commits."""
    bodies = Bodies(bench.folder, 1)
    rounds: dict[str, list[Measured]] = {kind: [] for kind in "NPQC"}
    detail = statements = ""
    with postgres() as server:
        for number in range(bench.rounds):
            for kind in "NPQC":
                bench.say(f"PostgreSQL, acknowledging, round {number + 1}: {kind}")
                with emptied(server, kind) as receiver:
                    wrk(receiver.port, bodies, seconds=1)
                    before, started = receiver.cpu_s(), time.monotonic()
                    found = wrk(receiver.port, bodies, seconds=bench.seconds)
                    rounds[kind].append(found)
                    if kind == "C":
                        detail = shares_of(receiver, before, time.monotonic() - started)
                        verify(receiver, at_least=found.distinct - 64)
                        statements = _statements(receiver)
    rate = {kind: statistics.median(m.rate for m in found) for kind, found in rounds.items()}
    p50 = {kind: statistics.median(m.p50_ms for m in found) for kind, found in rounds.items()}
    p99 = {kind: statistics.median(m.p99_ms for m in found) for kind, found in rounds.items()}
    detail = (
        f"{rate['C']:,.0f}/s; N {rate['N']:,.0f}, P {rate['P']:,.0f}, Q {rate['Q']:,.0f}; {detail}"
    )
    yield Figure("PostgreSQL / N", rate["C"] / rate["N"], 0.55, detail=detail)
    yield Figure("PostgreSQL / P", rate["C"] / rate["P"], 4, detail=statements)
    detail = f"p50 {p50['C']:.1f} ms, p99 {p99['C']:.1f} ms; N {p50['N']:.1f}, {p99['N']:.1f}"
    ratio = p99["C"] / p99["N"]
    yield Figure("PostgreSQL p99 / p99 of N", ratio, 8, is_at_least=False, detail=detail)


def postgres_sustained(bench: Bench) -> Iterator[Figure]:
    """A minute of load with the projection keeping up."""
    bodies = Bodies(bench.folder, 1)
    do_nothing = list(do_nothing_rates(bench, bodies))
    bench.say("PostgreSQL, sustained, 60 s")
    with postgres() as server, emptied(server, "C") as receiver:
        before, started = receiver.cpu_s(), time.monotonic()
        found = wrk(receiver.port, bodies, seconds=60)
        waiting, lag_s = receiver.lag()
        detail = shares_of(receiver, before, time.monotonic() - started)
        catch_up_s = receiver.catch_up_s()
        verify(receiver, at_least=found.distinct - 64)
    do_nothing += do_nothing_rates(bench, bodies)
    n = statistics.median(do_nothing)
    detail = (
        f"{found.rate:,.0f}/s; {detail}; lag {lag_s:.1f} s ({waiting:,}), then {catch_up_s:.1f} s"
    )
    yield Figure("PostgreSQL 60 s / N", found.rate / n, 0.3, detail=detail)


def outage(bench: Bench) -> Iterator[Figure]:
    """The rate five seconds after PostgreSQL was gone for ten, under load all the while."""
    bodies = Bodies(bench.folder, 1)
    with postgres() as server, emptied(server, "C") as receiver:
        bench.say("PostgreSQL, before an outage")
        before = wrk(receiver.port, bodies, seconds=bench.seconds).rate
        receiver.catch_up_s()
        time.sleep(CALM_S)
        bench.say("PostgreSQL, the outage")
        server.stop(signal.SIGQUIT)
        meanwhile = wrk(receiver.port, bodies, seconds=10)
        server.start()
        time.sleep(5)
        bench.say("PostgreSQL, after the outage")
        after = wrk(receiver.port, bodies, seconds=bench.seconds).rate
        receiver.catch_up_s()
    detail = f"{before:,.0f}/s before, {meanwhile.rate:,.0f}/s meanwhile, {after:,.0f}/s after"
    yield Figure("after an outage / before", after / before, 0.9, detail=detail)


def copying(bench: Bench) -> Iterator[Figure]:
    """All that a collector received, moved from SQLite to PostgreSQL, projected and verified."""
    bodies, folder = Bodies(bench.folder, 25), bench.folder / "copied"
    folder.mkdir()
    bench.say("copying: the source")
    with running("C", folder=folder) as source:
        wrk(source.port, bodies, seconds=10)
        source.catch_up_s()
    bench.say("copying")
    with postgres() as server:
        copied = subprocess.run(
            [sys.executable, "-m", "app", "copy", "--json", "--from",
             f"sqlite:///{folder}/collector.db", "--to", server.url],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if copied.returncode:
        raise RuntimeError(copied.stderr)
    said = json.loads(copied.stdout)
    detail = f"{said['results']:,} results of {said['callbacks']:,} callbacks, verified"
    yield Figure("copied results a second", said["results_per_second"], 20_000, detail=detail)


def _statements(receiver: Running) -> str:
    groups = receiver.metric("commits_total")
    callbacks = receiver.metric("commit_callbacks_sum")
    statements = receiver.metric("log_statements_total")
    return (
        f"{statements / groups:.2f} statements and round trips for each group of"
        f" {callbacks / groups:.0f} callbacks"
    )
