"""A data folder with results in it, as a collector leaves one: stored without HTTP."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.canonical import dumps
from app.model import Arrival
from app.receive.reading import read_ids
from app.settings import Settings
from app.simulator.results.draws import Draws
from app.store.database import opened_for_work, store_of
from tests.bench.flattening import small_person
from tests.store.arrivals import project

RESULTS_A_CALLBACK = 25
_CALLBACKS_AT_ONCE = 400
_VARIANTS = 4_000


def people(count: int) -> Iterator[dict[str, Any]]:
    """So many people of some 1.2 KB, each with an id of its own."""
    drawn = [small_person(Draws(7, number, 0)) for number in range(_VARIANTS)]
    for number in range(count):
        yield drawn[number % _VARIANTS] | {"linkedin_profile_id": 1_000_000_000 + number}


def store_results(folder: Path, results: Iterable[dict[str, Any]], run_uid: str) -> None:
    """Store results in callbacks of one run, each with an input of its own, and project them."""
    folder.mkdir(parents=True)
    asyncio.run(_stored(Settings(data_dir=folder), iter(results), run_uid))


async def _stored(settings: Settings, results: Iterator[dict[str, Any]], run_uid: str) -> None:
    store = store_of(settings, on_news=lambda: None)
    await store.open()
    numbers = itertools.count()
    with opened_for_work(settings, "bench") as work:
        while True:
            arrivals = [
                _arrival(number, some, run_uid)
                for number in itertools.islice(numbers, _CALLBACKS_AT_ONCE)
                if (some := list(itertools.islice(results, RESULTS_A_CALLBACK)))
            ]
            if not arrivals:
                break
            await store.append(arrivals)
            await asyncio.to_thread(project, work)
    await store.close()


def _arrival(number: int, results: list[dict[str, Any]], run_uid: str) -> Arrival:
    row = f"row-{number}"
    body = dumps(
        {
            "callback_ref_uid": f"c-{number}",
            "run": {
                "run_uid": run_uid,
                "status": "RUNNING",
                "batch_uid": "b",
                "action_name": "linkedin-search-people",
            },
            "input": {"linkedin_profile_url": f"https://www.linkedin.com/in/{row}"},
            "custom_data": {"row_id": row, "list": "leads"},
            "results": results,
        }
    )
    ids = read_ids(body)
    return Arrival(ids.run_uid, ids.key, body, 1_700_000_000_000 + number)
