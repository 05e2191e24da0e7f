"""Downloads over HTTP: rows a second of the server's processor, and memory, by format."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from tests.bench.measures import Bench, Figure, peak_rss
from tests.bench.prototypes import store_texts
from tests.bench.servers import SERVER_CORE, Running, running
from tests.bench.stored import people, store_results
from tests.collector_process import TOKEN

RESULTS = 200_000
FORMATS = ("ndjson", "csv", "parquet")
_AS_IT_IS = {"Accept-Encoding": "identity"}


def downloads(bench: Bench) -> Iterator[Figure]:
    """Every result as NDJSON, CSV and Parquet, nothing else going on.

    Rows a second are of the processor time that the server takes, since others may use it too.
    Prototypes (`tests.bench.prototypes`) make the same of the same results, in turns with it.
    """
    folder = bench.folder / "data"
    bench.say(f"downloads: {RESULTS:,} results are stored")
    store_results(folder, people(RESULTS), str(UUID(int=7)))
    with running("C", folder=folder, env={"COLLECTOR_LOG_LEVEL": "warning"}) as server:
        _wake(server)
        idle_mb = server.rss_mb()
        bench.say("downloads: the same results as stored JSON texts")
        texts = _texts(server, bench.folder / "texts.db")
        bare = 0.0
        for form in FORMATS:
            took: list[tuple[float, float]] = []
            prototype_s: list[float] = []
            path = bench.folder / f"results.{form}"
            with peak_rss(server) as peak:
                for number in range(bench.rounds):
                    bench.say(f"downloads, round {number + 1}: {form}")
                    prototype_s.append(_prototype_s(form, texts, path))
                    took.append(_took_s(server, form, path))
            rate = RESULTS / min(one[0] for one in took)
            prototype = RESULTS / min(prototype_s)
            bare = bare or prototype  # B: NDJSON's
            detail = (
                f"{rate:,.0f}/s; prototype {prototype:,.0f}/s, B {bare:,.0f}/s;"
                f" {RESULTS:,} results, {path.stat().st_size / 1e6:,.0f} MB"
            )
            if form == "parquet":
                yield Figure("parquet: rows/s", rate, 60_000, detail=detail)
            else:
                yield Figure(f"{form} / B", rate / bare, _OF_BARE[form], detail=detail)
            if form in _OF_PROTOTYPE:
                ratio = rate / prototype
                yield Figure(f"{form} / its prototype", ratio, _OF_PROTOTYPE[form], detail=detail)
            first_ms = 1000 * max(one[1] for one in took)
            yield Figure(f"{form}: first byte, ms", first_ms, 200, is_at_least=False)
            over = max(peak) - idle_mb
            yield Figure(f"{form}: MB over idle", over, _MEMORY_MB[form], is_at_least=False)


_OF_BARE = {"ndjson": 0.6, "csv": 0.1}
_OF_PROTOTYPE = {"csv": 2.0, "parquet": 60 / 48}
"""The figures that were set for one machine, as ratios to the prototypes' on it."""
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


def _wake(server: Running) -> None:
    """A callback without results, so that all processes are there before memory is looked at."""
    body = {"callback_ref_uid": "wake", "run": {"run_uid": str(UUID(int=8)), "status": "RUNNING"}}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    server.http.post(f"{server.url}/callbacks", json=body, headers=headers).raise_for_status()
    server.catch_up_s()


def _texts(server: Running, path: Path) -> Path:
    url = f"{server.url}/api/v1/results?format=ndjson"
    with server.http.stream("GET", url, headers=_AS_IT_IS) as answer:
        store_texts(path, answer.iter_lines())
    return path


def _prototype_s(form: str, texts: Path, output: Path) -> float:
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "tests.bench.prototypes"]
    return float(subprocess.check_output([*command, form, str(texts), str(output)]))
