"""XLSX of many results, over HTTP, from a collector on one core."""

import time
from collections.abc import Iterator
from typing import Any

from app.simulator.results.draws import Draws
from tests.bench.flattening import small_person
from tests.bench.load import Bodies, wrk
from tests.bench.measures import Bench, Figure, peak_rss
from tests.bench.servers import running

RESULTS = 200_000
_LEFT_OUT = {"certifications", "languages"}


def workbooks(bench: Bench) -> Iterator[Figure]:
    """Rows for each second of its processor, memory over idle, and when the file begins."""
    bodies = Bodies(bench.folder, 25, _contact)
    with running("C", env={"COLLECTOR_LOG_LEVEL": "warning"}) as server:
        while (stored := server.counts()["results"]) < RESULTS:
            bench.say(f"xlsx: {stored:,} of {RESULTS:,} results stored")
            wrk(server.port, bodies, seconds=5)
            server.catch_up_s()
        idle = server.rss_mb()
        rates, waits_ms, size = [], [], 0
        with peak_rss(server) as peak:
            for number in range(bench.rounds):
                bench.say(f"xlsx: file {number + 1} of {bench.rounds}")
                used_s, started = sum(server.cpu_s().values()), time.monotonic()
                url, size = f"{server.url}/api/v1/results?format=xlsx", 0
                with server.http.stream("GET", url) as answer:
                    for chunk in answer.iter_raw():
                        if not size:
                            waits_ms.append((time.monotonic() - started) * 1000)
                        size += len(chunk)
                rates.append(stored / (sum(server.cpu_s().values()) - used_s))
    detail = f"{stored:,} results of {bodies.mean_bytes // 25:,} bytes, {size / 1e6:,.0f} MB"
    yield Figure("xlsx: rows a second of CPU", max(rates), 20_000, detail=detail)
    yield Figure("xlsx: MB over idle", max(peak) - idle, 100, is_at_least=False)
    yield Figure("xlsx: first byte, ms", max(waits_ms), 200, is_at_least=False)


def _contact(draws: Draws) -> dict[str, Any]:
    """25 fields and some 1.1 KB, as the figure was set for."""
    return {name: item for name, item in small_person(draws).items() if name not in _LEFT_OUT}
