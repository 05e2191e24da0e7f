"""Real collectors beside a simulated Edges: the service itself keeps schedules up to date."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.collector_process import TOKEN, CollectorProcess, free_port
from tests.edges_process import EdgesProcess, simulated_edges, wait_until

Start = Callable[..., CollectorProcess]


@pytest.fixture
def edges() -> Iterator[EdgesProcess]:
    starts = datetime.now(UTC).isoformat()
    with simulated_edges(seed=5, clock_rate=0, clock_starts_at=starts) as one:
        yield one


def scheduled(edges: EdgesProcess, port: int) -> str:
    body = {
        "inputs": [{"n": 1}],
        "cron": "30 * * * *",
        "timezone": "Europe/Paris",
        "callback": {
            "url": f"http://127.0.0.1:{port}/callbacks",
            "headers": {"Authorization": f"Bearer {TOKEN}"},
        },
    }
    answer = edges.http.post("/actions/linkedin-extract-people/run/schedule", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["uid"])


def advance(edges: EdgesProcess, hours: float) -> None:
    body = {"advance_s": hours * 3_600, "settle_s": 10}
    answer = edges.http.post(f"{edges.origin}/_simulator/clock", json=body)
    assert answer.is_success, answer.text


def test_schedules_are_taken_over_changed_and_linked_to_their_runs(
    start_collector: Start, edges: EdgesProcess
) -> None:
    port = free_port()
    uid = scheduled(edges, port)  # before the collector starts: it asks at once, then every 10 s
    env = {**edges.env, "COLLECTOR_SCHEDULE_POLL_S": "10"}
    collector = start_collector(env=env, port=port)
    advance(edges, 2)

    def found() -> Any:
        answer = collector.http.get(f"/api/v1/schedules/{uid}")
        return answer.json() if answer.is_success else {"runs": [], "status": None}

    wait_until(lambda: len(found()["runs"]) == 2, lambda: f"{found()} {collector.log[-3000:]}")
    told = found()
    assert told["cron_in_words"]
    assert {run["scheduled_run_uid"] for run in told["runs"]} == {uid}
    assert len(told["next"]) == 5
    for action, status in (("pause", "PAUSED"), ("resume", "ACTIVE")):
        answer = collector.http.post(f"/api/v1/schedules/{uid}/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert edges.http.get(f"/schedules/{uid}").json()["status"] == status
    refused = collector.http.post("/api/v1/schedules/no-such-schedule/pause")
    assert (refused.status_code, refused.headers["content-type"]) == (
        404,
        "application/problem+json",
    )
    assert collector.stop() == 0
    again = start_collector(env=env)
    assert again.get(f"schedules/{uid}")["status"] == "ACTIVE"
