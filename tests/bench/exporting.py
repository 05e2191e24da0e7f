"""Downloads over HTTP: rows a second of the server's processor, and memory, by format."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.flattening import small_person
from tests.bench.load import Bodies, wrk
from tests.bench.measures import Bench, Figure, peak_rss
from tests.bench.servers import SERVER_CORE, Running, running

RESULTS_MIN = 200_000
_AS_IT_IS = {"Accept-Encoding": "identity"}

# The baseline B: stored JSON texts, read and written to a file.
_BARE = """
import sqlite3, sys, time
texts = sqlite3.connect(sys.argv[1]).execute("SELECT data FROM results ORDER BY rowid")
with open(sys.argv[2], "wb") as file:
    for (text,) in texts:
        file.write(text.encode() + b"\\n")
print(time.process_time())
"""


def downloads(bench: Bench) -> Iterator[Figure]:
    """Every result as NDJSON, CSV and Parquet, nothing else going on.

    Rows a second are of the processor time that the server takes, since others may use it too.
    """
    bodies = Bodies(bench.folder, 25, small_person)
    with running("C", env={"COLLECTOR_LOG_LEVEL": "warning"}) as server:
        while (stored := server.counts()["results"]) < RESULTS_MIN:
            bench.say(f"downloads: {stored:,} of {RESULTS_MIN:,} results stored")
            wrk(server.port, bodies, seconds=2)
            server.catch_up_s()
        idle_mb = server.rss_mb()
        bare = stored / _bare_s(bench, server)
        for form in ("ndjson", "csv", "parquet"):
            took: list[tuple[float, float]] = []
            with peak_rss(server) as peak:
                for number in range(bench.rounds):
                    bench.say(f"downloads, round {number + 1}: {form}")
                    took.append(_took_s(server, form, bench.folder / f"results.{form}"))
            rate, first_ms = (
                stored / min(one[0] for one in took),
                1000 * max(one[1] for one in took),
            )
            size = (bench.folder / f"results.{form}").stat().st_size
            detail = f"{rate:,.0f}/s, B {bare:,.0f}/s; {stored:,} results, {size / 1e6:,.0f} MB"
            if form == "parquet":
                yield Figure("parquet: rows/s", rate, 60_000, detail=detail)
            else:
                yield Figure(f"{form} / B", rate / bare, _OF_BARE[form], detail=detail)
            yield Figure(f"{form}: first byte, ms", first_ms, 200, is_at_least=False)
            over = max(peak) - idle_mb
            yield Figure(f"{form}: MB over idle", over, _MEMORY_MB[form], is_at_least=False)


_OF_BARE = {"ndjson": 0.6, "csv": 0.1}
_MEMORY_MB = {"ndjson": 60, "csv": 80, "parquet": 300}


def _took_s(server: Running, form: str, path: Path) -> tuple[float, float]:
    """Processor seconds of a download, and seconds until its first byte."""
    before, started, first_s = _cpu_s(server), time.monotonic(), 0.0
    url = f"{server.url}/api/v1/results?format={form}"
    with (
        server.http.stream("GET", url, headers=_AS_IT_IS) as answer,
        path.open("wb") as file,
    ):
        for chunk in answer.iter_raw():
            first_s = first_s or time.monotonic() - started
            file.write(chunk)
    return _cpu_s(server) - before, first_s


def _cpu_s(server: Running) -> float:
    used = server.cpu_s()
    return used["loop"] + used["writer"]  # all but the projection's process


def _bare_s(bench: Bench, server: Running) -> float:
    path = bench.folder / "bare.db"
    bench.say("downloads: the same results as stored JSON texts")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE results (data TEXT NOT NULL)")
        url = f"{server.url}/api/v1/results?format=ndjson"
        with server.http.stream("GET", url, headers=_AS_IT_IS) as answer:
            connection.executemany(
                "INSERT INTO results VALUES (?)", ((line,) for line in answer.iter_lines())
            )
    connection.close()
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-c", _BARE]
    output = bench.folder / "bare.ndjson"
    return min(
        float(subprocess.run([*command, path, output], capture_output=True, check=True).stdout)
        for _ in range(bench.rounds)
    )
