"""Result sets with one result for each key, against the same results as they are.

As a program it makes one file and says what that took:

    python -m tests.bench.merging FOLDER FORMAT [KEEP]
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from app.canonical import allow_deep_nesting
from app.export.distinct import KEEPS, Distinct
from app.export.formats import FORMATS
from app.export.result_set import ResultSet, Selection
from app.export.stream import snapshot
from app.memory import spare_the_garbage_collector
from app.settings import Settings
from app.simulator.results.draws import Draws
from app.store.database import store_of
from app.store.views import ResultFilter
from tests.bench.flattening import small_person
from tests.bench.measures import Bench, Figure
from tests.bench.stored import store_results

ROWS = 1_000_000
REPEATED = 0.3
RUN = str(UUID(int=7))
FORMATS_MEASURED = ("ndjson", "csv")
_TEMPLATES = 2_000
_ADDS = 0.1
"""In so many of the repeats a field has a value that is null in those before."""


@dataclass(frozen=True, slots=True)
class Made:
    """What making a file took."""

    cpu_s: float
    first_ms: float
    """Until its first byte; until its first row where a file begins with none."""
    rows: int
    megabytes: float
    rss_over_idle_mb: float
    """Memory that is not backed by files, at most."""
    rss_with_files_mb: float


def distinct(bench: Bench) -> Iterator[Figure]:
    """Processor time for distinct_on=auto over that for all results, of which 30 % are repeats."""
    bench.say(f"distinct: {ROWS:,} results are stored")
    filled = _filled(bench.folder / "data", ROWS)
    for form in FORMATS_MEASURED:
        bench.say(f"distinct: {form}")
        plain = _measured(bench.folder / "data", form)
        for keep in KEEPS:
            bench.say(f"distinct: {form}, keep={keep}")
            made = _measured(bench.folder / "data", form, keep)
            if made.rows != filled:
                raise AssertionError(f"{made.rows} rows, and not {filled}")
            detail = (
                f"{made.cpu_s:.1f} s; plain {plain.cpu_s:.1f} s, {ROWS / plain.cpu_s:,.0f} rows/s;"
                f" {made.rows:,} of {plain.rows:,} rows; {made.rss_over_idle_mb:.0f} MB over idle"
                f" (plain {plain.rss_over_idle_mb:.0f}), {made.rss_with_files_mb:.0f} with its file"
            )
            name = f"distinct {keep} / plain, {form}"
            ratio = made.cpu_s / plain.cpu_s
            yield Figure(name, ratio, 2, is_at_least=False, detail=detail)


def _measured(folder: Path, form: str, *keep: str) -> Made:
    command = [sys.executable, "-m", "tests.bench.merging", str(folder), form, *keep]
    return Made(**json.loads(subprocess.check_output(command, env=_environment(folder))))


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "COLLECTOR_DATA_DIR": str(folder)}


# ------------------------------------------------------------------ the results


def _filled(folder: Path, rows: int) -> int:
    """Store the results; how many are distinct."""
    keys: set[int] = set()

    def seen() -> Iterator[dict[str, Any]]:
        for one in _people(rows):
            keys.add(one["linkedin_profile_id"])
            yield one

    store_results(folder, seen(), RUN)
    return len(keys)


def _people(rows: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(7)
    templates = [small_person(Draws(7, number, 0)) | {"note": None} for number in range(_TEMPLATES)]
    news = 0
    for _ in range(rows):
        if news and rng.random() < REPEATED:
            key = rng.randrange(news)
            more = {"note": f"seen {key}"} if rng.random() < _ADDS else {}
        else:
            key, more = news, {}
            news += 1
        yield templates[key % _TEMPLATES] | {"linkedin_profile_id": 1_000_000_000 + key} | more


# ---------------------------------------------------------------- the program


async def _made(form: str, keep: str | None) -> Made:
    settings = Settings()
    store = store_of(settings, on_news=lambda: None)
    await store.open()
    reader = store.reader
    idle_mb = _rss_mb("RssAnon")
    started, cpu_s = time.monotonic(), time.process_time()
    run = await reader.run(RUN)
    assert run is not None
    wanted = ResultSet(
        [await snapshot(reader, run)],
        ResultFilter(),
        await reader.fields([RUN]),
        settings.result_keys,
        Selection(distinct=None if keep is None else _distinct(keep)),
        folder=settings.data_dir,
    )
    kind = FORMATS[form]
    writer = kind(wanted.columns(kind.shape))
    first_ms = peak_mb = with_files_mb = 0.0
    size = lines = 0
    async for piece in wanted.file(reader, writer, shape=kind.shape):
        if piece and not first_ms:
            first_ms = (time.monotonic() - started) * 1000
        size += len(piece)
        lines += piece.count(b"\n")
        peak_mb = max(peak_mb, _rss_mb("RssAnon") - idle_mb)
        with_files_mb = max(with_files_mb, _rss_mb("VmRSS") - idle_mb)
    cpu_s = time.process_time() - cpu_s
    await store.close()
    rows = lines - (form == "csv")
    return Made(cpu_s, first_ms, rows, size / 1e6, peak_mb, with_files_mb)


def _distinct(keep: str) -> Distinct:
    return Distinct("auto", next(known for known in KEEPS if known == keep))


def _rss_mb(name: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) / 1024


if __name__ == "__main__":
    allow_deep_nesting()
    spare_the_garbage_collector()  # as the service does
    made = asyncio.run(_made(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
    print(json.dumps({name: getattr(made, name) for name in Made.__slots__}))
