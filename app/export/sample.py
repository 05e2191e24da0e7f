"""A sample of results, spread evenly, to tell how full fields are and what is in them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.canonical import Json, canonical
from app.export.layouts import flat_result
from app.export.records import Result, results_in, results_on
from app.export.stream import snapshot
from app.store.reader import Reader
from app.store.views import RunView

SAMPLE_MAX = 2_000
"""Results in a sample. Where there are no more, it is all of them."""
RUNS_MAX = 40
"""Runs that are looked into; of more, as many, evenly spread."""

EXAMPLES_MAX = 3
EXAMPLE_LENGTH_MAX = 100

_BYTES_MAX = 4 * 1024 * 1024
_PAGES_MAX = 4
"""Of `/outputs`, each of up to 500 results."""


@dataclass(slots=True)
class ColumnSample:
    """What a sample shows of a column."""

    filled: int = 0
    """Results that have it, null aside."""
    examples: list[Json] = field(default_factory=list)
    """Values that differ; long ones are cut, as JSON if they are no texts."""


@dataclass(slots=True)
class Sample:
    """What is found in some results."""

    results: int
    is_whole: bool
    """Whether these are all results."""
    columns: dict[str, ColumnSample]


async def sample(reader: Reader, runs: Sequence[RunView], result_keys: Sequence[str]) -> Sample:
    """A sample of the results of `runs`, the same one each time."""
    counts = [run.results + (run.told.from_outputs if run.told else 0) for run in runs]
    is_whole = sum(counts) <= SAMPLE_MAX and len(runs) <= RUNS_MAX
    step = -(-len(runs) // RUNS_MAX) or 1
    chosen = runs[::step]
    share = SAMPLE_MAX if is_whole else max(1, SAMPLE_MAX // max(1, len(chosen)))
    found: list[Result] = []
    for run in chosen:
        some = await _of_run(reader, run, result_keys, share)
        is_whole = is_whole and len(some) <= share
        found += some[:share]
    columns = await asyncio.to_thread(_columns, found)
    return Sample(len(found), is_whole and len(found) >= sum(counts), columns)


async def _of_run(
    reader: Reader, run: RunView, result_keys: Sequence[str], share: int
) -> list[Result]:
    seen = await snapshot(reader, run)
    each = max(1, run.results // max(1, run.callbacks))
    every = max(1, run.results // share) | 1
    limit = share // each + 1
    callbacks = await reader.spread_callbacks(seen, every=every, limit=limit, bytes_max=_BYTES_MAX)
    if not callbacks and run.results:  # so few that none of them was hit
        callbacks = await reader.spread_callbacks(seen, every=1, limit=limit, bytes_max=_BYTES_MAX)
    found = await asyncio.to_thread(
        lambda: [one for each in callbacks for one in results_in(run.run_uid, each, result_keys)]
    )
    pages = seen.counted_pages[:: -(-len(seen.counted_pages) // _PAGES_MAX) or 1]
    entries = await reader.raw_pages(run.run_uid, [page.seq for page in pages])
    for page in pages:
        found += results_on(run.run_uid, page, entries[page.seq])
    return found


def _columns(results: Iterable[Result]) -> dict[str, ColumnSample]:
    columns: dict[str, ColumnSample] = {}
    for result in results:
        for name, value in flat_result(result).items():
            if value is None:
                continue
            column = columns.setdefault(name, ColumnSample())
            column.filled += 1
            if len(column.examples) < EXAMPLES_MAX:
                example = _example(value)
                if example not in column.examples:
                    column.examples.append(example)
    return columns


def _example(value: Json) -> Json:
    if isinstance(value, (list, dict)):
        value = canonical(value).decode()
    if isinstance(value, str) and len(value) > EXAMPLE_LENGTH_MAX:
        return value[:EXAMPLE_LENGTH_MAX] + "…"
    return value
