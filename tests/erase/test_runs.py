"""A run is erased from everything, and late callbacks of it do not bring it back."""

import json
from collections.abc import Callable, Mapping

import pytest

from tests.callbacks import new_run, sent
from tests.collector_process import CollectorProcess
from tests.erase.people import NAME, jane, other, traces, wait_until_erased

URL = "https://example.invalid/hook"


def delete(collector: CollectorProcess, run: str) -> str:
    answer = collector.http.delete(f"/api/v1/runs/{run}")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["erasure_id"])


def test_a_run_is_gone_for_good_and_others_stay(
    start_collector: Callable[..., CollectorProcess], database: Mapping[str, str]
) -> None:
    collector = start_collector()
    run, kept = new_run(), new_run()
    collector.http.post("/api/v1/endpoints", json={"url": URL, "event_types": ["run.started"]})
    for number in range(3):
        collector.send(sent(f"c{number}", run=run, results=(jane(),), row=NAME))
        collector.send(sent(f"c{number}", run=kept, results=(other(number),)))
    collector.send(sent("c1", run=run, results=(jane(other=1),), row=NAME))
    collector.send(sent("last", run=run, results=(jane(other=2),), row=NAME))
    collector.wait_until_projected()
    before = collector.get(f"runs/{kept}")
    erasure = wait_until_erased(collector, delete(collector, run))
    assert erasure["counts"]["callbacks"] == 5
    assert erasure["requested_by"] == "admin key"
    assert traces(database, NAME) == []
    assert collector.http.get(f"/api/v1/runs/{run}").status_code == 404
    assert collector.http.delete(f"/api/v1/runs/{run}").status_code == 404
    late = collector.send(sent("late", run=run, results=(jane(),)))
    assert (late.status_code, late.json()["status"]) == (200, "duplicate")
    assert collector.get(f"runs/{kept}") == before
    assert {one["subject"] for one in collector.get("events")["data"]} == {kept}
    assert 'erased_arrivals_total{what="dropped"} 1.0' in collector.http.get("/metrics").text
    collector.stop()

    collector = start_collector()
    collector.send(sent("again", run=run, results=(jane(),)))
    collector.send(sent("c9", run=kept, results=(other(9),)))
    collector.wait_until_projected()
    assert traces(database, NAME) == []
    assert collector.http.get(f"/api/v1/runs/{run}").status_code == 404
    assert len(collector.pages(f"runs/{kept}/results")) == 4
    (listed,) = collector.pages("erasures")
    assert listed == erasure


def test_a_run_that_is_let_in_again_begins_anew(collector: CollectorProcess) -> None:
    run = new_run()
    collector.send(sent("c1", run=run))
    collector.wait_until_projected()
    erasure_id = delete(collector, run)
    wait_until_erased(collector, erasure_id)
    lifted = collector.http.post(f"/api/v1/erasures/{erasure_id}/lift").json()
    assert (lifted["is_kept_out"], lifted["lifted_by"]) == (False, "admin key")
    assert collector.http.post(f"/api/v1/erasures/{erasure_id}/lift").status_code == 409
    assert collector.send(sent("c1", run=run)).json()["status"] == "stored"
    collector.wait_until_projected()
    assert collector.get(f"runs/{run}")["counts"]["callbacks"] == 1
    assert len(collector.pages(f"runs/{run}/results")) == 1


def test_a_cursor_of_before_a_run_began_anew_leaves_nothing_out(
    collector: CollectorProcess,
) -> None:
    run = new_run()
    path = f"/api/v1/runs/{run}/results?format=ndjson&after="
    collector.send(sent("c1", run=run, results=({"n": 1},)))
    collector.wait_until_projected()
    cursor = collector.http.get(f"{path}start").headers["X-Next-Cursor"]
    erasure_id = delete(collector, run)
    wait_until_erased(collector, erasure_id)
    collector.http.post(f"/api/v1/erasures/{erasure_id}/lift")
    for number in range(2, 5):  # more than there were, so that the numbers go beyond the cursor
        collector.send(sent(f"c{number}", run=run, results=({"n": number},)))
    collector.wait_until_projected()
    answer = collector.http.get(path + cursor)
    if "COLLECTOR_DATABASE_URL" in collector.env:
        assert answer.status_code == 410
        assert "after=start" in answer.json()["detail"]
        answer = collector.http.get(f"{path}start")
    assert [json.loads(line)["data"]["n"] for line in answer.text.splitlines()] == [2, 3, 4]
    following = collector.http.get(path + answer.headers["X-Next-Cursor"])
    assert (following.status_code, following.text) == (200, "")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("value=1", "field"),
        ("field=linkedin_profile_id", "value"),
        ("field=a%22b&value=1", "field"),
        ("field=a&value=1&more=1", "more"),
    ],
)
def test_what_is_no_person_is_refused(
    shared_collector: CollectorProcess, query: str, parameter: str
) -> None:
    answer = shared_collector.http.delete(f"/api/v1/people?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


def test_erasures_are_listed_newest_first(shared_collector: CollectorProcess) -> None:
    for value in range(3):
        shared_collector.http.delete(f"/api/v1/people?field=f&value={value}")
    rows = shared_collector.pages("erasures", limit=2)
    assert len(rows) == 3
    assert rows == sorted(rows, key=lambda row: row["erasure_id"], reverse=True)
    assert len({row["value_digest"] for row in rows}) == 3
    assert shared_collector.http.get("/api/v1/erasures/nobody").status_code == 404
