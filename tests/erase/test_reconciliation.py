"""What Edges tells later does not bring a person back, and runs are proven all the same."""

import json
from collections import Counter
from collections.abc import Callable, Mapping

from tests.collector_process import CollectorProcess
from tests.edges_process import canonical, simulated_edges, wait_until
from tests.erase.people import FIELD, erase, traces


def test_a_run_is_proven_complete_without_who_was_erased(
    start_collector: Callable[..., CollectorProcess], database: Mapping[str, str]
) -> None:
    with simulated_edges(seed=5, results_per_input=(2, 5), page_size=2) as edges:
        env = {**edges.env, "COLLECTOR_RECONCILE_SILENCE_S": "3600"}
        collector = start_collector(env=env)
        run = edges.launch(12, collector, drop_share=0.5, status_scope="run")
        edges.settle(run)
        collector.wait_until_projected()
        truth = edges.results(run)
        before, after = sorted({json.loads(one)[FIELD] for one in truth})[:2]
        erase(collector, before)
        collector.http.post(f"/api/v1/runs/{run}/reconcile")
        wait_until(
            lambda: collector.get(f"runs/{run}")["completeness"] == "complete",
            lambda: f"not complete: {collector.get(f'runs/{run}')}",
        )
        assert served(collector, run) == without(truth, before)
        erase(collector, after)
        assert served(collector, run) == without(truth, before, after)
        counts = collector.get(f"runs/{run}")["counts"]
        assert counts["results"] == counts["expected_results"] == truth.total()
        collector.http.post(f"/api/v1/runs/{run}/reconcile")
        wait_until(
            lambda: collector.get(f"runs/{run}")["reconciliation"]["is_over"], "not looked at again"
        )
        assert collector.get(f"runs/{run}")["completeness"] == "complete"
        assert served(collector, run) == without(truth, before, after)
        assert traces(database, *map(str, (before, after))) == []


def served(collector: CollectorProcess, run: str) -> Counter[bytes]:
    lines = collector.http.get(f"/api/v1/runs/{run}/results?format=ndjson").content.splitlines()
    return Counter(canonical(json.loads(line)["data"]) for line in lines)


def without(truth: Counter[bytes], *people: str) -> Counter[bytes]:
    return Counter({one: n for one, n in truth.items() if json.loads(one)[FIELD] not in people})
