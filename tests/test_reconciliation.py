"""Real collectors beside a simulated Edges: what is lost comes back, and is told."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.collector_process import CollectorProcess
from tests.conftest import postgres_only
from tests.edges_process import EdgesProcess, canonical, simulated_edges, wait_until

Start = Callable[..., CollectorProcess]


@pytest.fixture(scope="module")
def edges() -> Iterator[EdgesProcess]:
    with simulated_edges(seed=3, results_per_input=(1, 6), page_size=2, failed_share=0.15) as one:
        yield one


def run_of(collector: CollectorProcess, run_uid: str) -> dict[str, Any]:
    answer = collector.http.get(f"/api/v1/runs/{run_uid}")
    return answer.json() if answer.is_success else {"completeness": None, "status": None}


def wait_for(collector: CollectorProcess, run_uid: str, completeness: str) -> dict[str, Any]:
    wait_until(
        lambda: run_of(collector, run_uid)["completeness"] == completeness,
        lambda: f"not {completeness}: {run_of(collector, run_uid)} {told_by(collector)}",
    )
    return run_of(collector, run_uid)


def told_by(collector: CollectorProcess) -> str:
    """Its log, but for requests."""
    lines = [line for line in collector.log.splitlines() if '"event":"request"' not in line]
    return "\n".join(lines[-20:])


def whole(collector: CollectorProcess, edges: EdgesProcess, run_uid: str) -> None:
    """What is served is what Edges has: results, and inputs in Edges' order."""
    path = f"/api/v1/runs/{run_uid}"
    lines = collector.http.get(f"{path}/results?format=ndjson").content.splitlines()
    got = Counter(canonical(json.loads(line)["data"]) for line in lines)
    assert got == edges.results(run_uid)
    shown = [
        (one["input_uid"], one["status"], one["error"] and one["error"]["label"])
        for one in collector.pages(f"runs/{run_uid}/inputs")
    ]
    told = [
        (one["uid"], one["status"], one["error_label"]) for one in edges.truth(run_uid)["inputs"]
    ]
    assert shown == told


def test_what_callbacks_lose_is_recovered_by_itself_and_told(
    start_collector: Start, edges: EdgesProcess
) -> None:
    collector = start_collector(env=edges.env)
    run_uid = edges.launch(40, collector, drop_share=0.3, status_scope="run")
    run = wait_for(collector, run_uid, "complete")
    whole(collector, edges, run_uid)
    truth = edges.truth(run_uid)
    assert run["counts"]["results"] == run["counts"]["expected_results"] == truth["results_total"]
    assert run["losses"]["callbacks"] == truth["callbacks_dropped"] > 0
    (cause,) = run["losses"]["causes"]
    assert (cause["http_status"], cause["callbacks"]) == (None, truth["callbacks_dropped"])
    assert "refused" in cause["error"]
    assert cause["first_at"]
    assert run["losses"]["results"] > 0
    assert run["missing"] is None
    wait_until(lambda: "callbacks were lost" in collector.log, "the log does not say it")
    metrics = collector.http.get("/metrics").text
    lost = re.search(r'callbacks_lost_total{what="results"} (\d+)', metrics)
    assert lost
    assert int(lost[1]) == run["losses"]["results"]
    share = collector.http.get("/readyz").json()["checks"]["callback channel"]["detail"]
    assert "of the last day's" in share
    assert not share.startswith("100")


def test_what_edges_says_it_delivered_and_never_came_is_said(
    start_collector: Start, edges: EdgesProcess
) -> None:
    collector = start_collector(env=edges.env)
    run_uid = edges.launch(30, collector, lie_share=0.3, status_scope="run")
    wait_until(lambda: edges.truth(run_uid)["settled"], "the run does not end")
    run = wait_for(collector, run_uid, "complete")
    assert run["losses"]["results"] > 0
    assert run["losses"]["callbacks"] == 0
    assert run["losses"]["are_said_to_be_delivered"]


def test_killed_in_a_walk_it_goes_on_behind_the_last_page(
    start_collector: Start, edges: EdgesProcess
) -> None:
    crash = {"COLLECTOR_CRASH_AT": "reconcile page logged:35"}
    collector = start_collector(env={**edges.env, **crash})
    run_uid = edges.launch(60, collector, callbacks_withheld=True, page_limit_max=2)
    edges.settle(run_uid)
    edges.asked()
    assert collector.http.post(f"/api/v1/runs/{run_uid}/reconcile").status_code == 202
    assert collector.process.wait(timeout=30) == -9  # behind the 30 pages of inputs
    again = start_collector(env=edges.env)
    wait_for(again, run_uid, "complete")
    whole(again, edges, run_uid)
    asked = edges.asked()
    pages = 30 + -(-edges.truth(run_uid)["results_total"] // 2)
    walked = sum(count for route, count in asked.items() if "puts" in route)
    assert walked <= 1.05 * pages + 1, (asked, pages)


def test_runs_that_call_back_once_or_never_are_collected_whole(
    start_collector: Start, edges: EdgesProcess
) -> None:
    collector = start_collector(env=edges.env)
    once = edges.launch(12, collector, on="final")
    never = edges.launch(12, None)
    edges.settle(never)
    assert collector.http.post(f"/api/v1/runs/{never}/reconcile").status_code == 202
    for run_uid in (once, never):
        run = wait_for(collector, run_uid, "complete")
        whole(collector, edges, run_uid)
        losses = run["losses"]
        assert (losses["results"], losses["inputs"], losses["callbacks"]) == (0, 0, 0)
    unknown = collector.http.post("/api/v1/runs/no-such-run/reconcile")
    assert unknown.status_code == 404
    assert collector.http.get("/api/v1/runs/no-such-run").status_code == 404


def test_without_a_key_it_is_off_and_says_so(start_collector: Start, edges: EdgesProcess) -> None:
    collector = start_collector()
    run_uid = edges.launch(5, collector, status_scope="run")
    edges.settle(run_uid)
    run = wait_for(collector, run_uid, "unverified")
    assert run["losses"] is None
    for action in ("reconcile", "resume", "continue", "cancel"):
        refused = collector.http.post(f"/api/v1/runs/{run_uid}/{action}")
        assert refused.status_code == 409
        assert "COLLECTOR_EDGES_API_KEY" in refused.json()["detail"]
    assert "runs end unverified" in collector.log


@pytest.mark.parametrize("is_cumulative", [True, False])
def test_a_continued_run_is_proven_again_however_edges_counts(
    start_collector: Start, edges: EdgesProcess, is_cumulative: bool
) -> None:
    collector = start_collector(env=edges.env)
    run_uid = edges.launch(
        8,
        collector,
        parameters={"sync_mode": "incremental"},
        status_scope="run",
        drop_share=0.2,
        outputs_are_cumulative=is_cumulative,
    )
    refused = collector.http.post(f"/api/v1/runs/{run_uid}/continue")
    assert refused.status_code in (404, 409, 422)  # it has not called back, or not ended yet
    wait_for(collector, run_uid, "complete")
    before = edges.results(run_uid)
    assert collector.http.post(f"/api/v1/runs/{run_uid}/continue").status_code == 202
    edges.settle(run_uid)
    due = edges.results(run_uid) + (Counter() if is_cumulative else before)
    wait_until(
        lambda: run_of(collector, run_uid)["counts"]["results"] == due.total(), "no second round"
    )
    run = wait_for(collector, run_uid, "complete")
    assert run["counts"]["expected_results"] == due.total()
    assert run["reconciliation"]["generations"] == 2
    assert run["reconciliation"]["output_count_is"] == ("cumulative" if is_cumulative else "reset")


def test_cancel_and_resume_are_passed_on(start_collector: Start, edges: EdgesProcess) -> None:
    collector = start_collector(env=edges.env)
    run_uid = edges.launch(40, collector, callbacks_per_second=20)
    wait_until(lambda: run_of(collector, run_uid)["status"], "no callback came")
    stopped = collector.http.post(f"/api/v1/runs/{run_uid}/cancel")
    assert stopped.status_code == 202, stopped.text
    assert edges.truth(run_uid)["status"] == "STOPPED"
    wait_for(collector, run_uid, "complete")
    assert run_of(collector, run_uid)["status"] == "STOPPED"
    assert collector.http.post(f"/api/v1/runs/{run_uid}/cancel").status_code == 422
    assert collector.http.post(f"/api/v1/runs/{run_uid}/resume").status_code == 202
    wait_until(lambda: run_of(collector, run_uid)["status"] not in ("STOPPED", None), "not resumed")
    wait_until(
        lambda: (
            run_of(collector, run_uid)["status"] == "PARTIAL_SUCCEEDED"
            and run_of(collector, run_uid)["completeness"] == "complete"
        ),
        "not proven after it was resumed",
    )
    whole(collector, edges, run_uid)


def test_whatever_edges_answers_the_run_ends_proven(start_collector: Start) -> None:
    with simulated_edges(
        seed=4,
        results_per_input=(1, 6),
        storm_every=12,
        storm_length=3,
        cut_share=0.1,
        slow_share=0.1,
        slow_s=0.05,
        page_limit_max=5,
        cursor_uses_max=3,
        drop_share=0.3,
    ) as edges:
        collector = start_collector(env=edges.env)
        run_uid = edges.launch(20, collector, status_scope="run")
        wait_for(collector, run_uid, "complete")
        whole(collector, edges, run_uid)


def test_a_page_elsewhere_is_not_followed_and_a_run_that_is_gone_is_told(
    start_collector: Start, edges: EdgesProcess
) -> None:
    collector = start_collector(env=edges.env)
    hostile = edges.launch(
        12,
        collector,
        callbacks_withheld=True,
        page_limit_max=3,
        hostile_next_url="http://192.0.2.1/steal",
        hostile_from_page=2,
    )
    gone = edges.launch(3, collector, callbacks_per_second=2)
    wait_until(lambda: run_of(collector, gone)["status"], "no callback came")
    edges.http.post(f"{edges.origin}/_simulator/runs/{gone}/archive")
    edges.settle(hostile)
    for run_uid in (hostile, gone):
        collector.http.post(f"/api/v1/runs/{run_uid}/reconcile")
    wait_until(lambda: run_of(collector, hostile).get("reconciliation", {}).get("problem"), "none")
    assert "192.0.2.1" in run_of(collector, hostile)["reconciliation"]["problem"]
    assert run_of(collector, hostile)["completeness"] == "unverified"
    wait_until(lambda: "gone from Edges" in collector.log, "the archived run is not noticed")


@postgres_only
def test_replicas_share_the_work_and_the_budget(start_collector: Start) -> None:
    with simulated_edges(
        seed=5, results_per_input=(2, 2), drop_share=0.2, page_limit_max=5
    ) as edges:
        replicas = [start_collector(env=edges.env) for _ in range(2)]
        uids = [edges.launch(20, replicas[n % 2], status_scope="run") for n in range(6)]
        for run_uid in uids:
            edges.settle(run_uid)
            wait_for(replicas[0], run_uid, "complete")
            whole(replicas[1], edges, run_uid)
        asked = edges.asked()
        inputs = sum(count for route, count in asked.items() if "inputs" in route)
        assert inputs <= len(uids) * 4 * 1.5, asked  # four pages to each, hardly any of them twice
