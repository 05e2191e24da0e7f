"""Killed while it erases: what was asked for is finished at the next start."""

from collections.abc import Callable, Mapping

import httpx2
import pytest

from tests.callbacks import new_run, sent
from tests.collector_process import CollectorProcess
from tests.erase.people import FIELD, NAME, PERSON, jane, other, traces, wait_until_erased


@pytest.mark.parametrize(
    "point",
    ["erasure asked:1", "erasure before commit:1", "erasure portion:1", "erasure portion:3"],
)
def test_what_was_begun_is_finished_at_the_next_start(
    start_collector: Callable[..., CollectorProcess], database: Mapping[str, str], point: str
) -> None:
    run, kept = new_run(), new_run()
    collector = start_collector(env={"COLLECTOR_CRASH_AT": point})
    for number in range(20):
        results = (jane(n=number), other(number))
        collector.send(sent(f"c{number}", run=kept, results=results))
    collector.send(sent("c1", run=run, results=(jane(), other(1))))
    collector.wait_until_projected()
    counts = collector.get(f"runs/{kept}")["counts"]
    for path, params in (
        ("people", {"field": FIELD, "value": PERSON}),
        (f"runs/{run}", {}),
    ):
        try:
            collector.http.delete(f"/api/v1/{path}", params=params)
        except httpx2.HTTPError:
            break
    assert collector.process.wait(timeout=60) == -9

    collector = start_collector()
    for erasure in collector.pages("erasures"):
        assert wait_until_erased(collector, erasure["erasure_id"])["finished_at"]
    assert traces(database, PERSON, NAME) == []
    assert collector.get(f"runs/{kept}")["counts"] == counts
    assert len(collector.pages(f"runs/{kept}/results")) == 20
