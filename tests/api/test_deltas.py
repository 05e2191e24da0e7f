"""`?after=` over HTTP: downloads that add up, and what they say of themselves."""

import json
import threading
from collections import Counter
from typing import Any

import httpx2
import pytest

from app.api.deltas import Given, written_cursor
from app.canonical import canonical
from app.store.postgres import marks
from tests.callbacks import callback, encoded, new_run, sent
from tests.collector_process import CollectorProcess
from tests.databases import run as run_sql
from tests.export.test_compression import unpacked

ACTION = "linkedin-extract-people"


def send(collector: CollectorProcess, run: str, *numbers: int, action: str = ACTION) -> None:
    for number in numbers:
        body = callback(f"{run}-{number}", run=run, row=f"row-{number}", results=({"n": number},))
        body["run"]["action_name"] = action
        assert collector.send(encoded(body)).status_code == 200
    collector.wait_until_projected()


def load(
    collector: CollectorProcess, path: str, after: str, query: str = "format=ndjson"
) -> tuple[list[Any], str]:
    """The numbers that are new, and the next cursor."""
    url = f"/api/v1/{path}{'&' if '?' in path else '?'}{query}&after={after}"
    answer = collector.http.get(url, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200, answer.text
    rows = [json.loads(line) for line in answer.text.splitlines()]
    return [row["data"]["n"] for row in rows], answer.headers["x-next-cursor"]


@pytest.mark.parametrize("kind", ["one", "merged"])
def test_loads_give_what_is_new_in_the_order_of_arrival(
    shared_collector: CollectorProcess, kind: str
) -> None:
    run = new_run()
    path = f"runs/{run}/results" if kind == "one" else f"results?run_uid={run}"
    send(shared_collector, run, 3, 1)
    first, cursor = load(shared_collector, path, "start")
    assert first == [3, 1]
    assert load(shared_collector, path, cursor) == ([], cursor)
    send(shared_collector, run, 1, 2, 0)
    assert load(shared_collector, path, cursor)[0] == [2, 0]
    assert load(shared_collector, path, cursor)[0] == [2, 0]  # the same cursor, the same answer
    _, later = load(shared_collector, path, cursor)
    send(shared_collector, new_run(), 9)
    assert load(shared_collector, path, later)[0] == []
    assert len(cursor) < 200


def test_runs_that_appear_later_are_new(shared_collector: CollectorProcess) -> None:
    action = new_run()
    path = f"results?action_name={action}"
    found, cursor = load(shared_collector, path, "start")
    assert found == []
    for number in range(3):
        send(shared_collector, new_run(), number, action=action)
        found, cursor = load(shared_collector, path, cursor)
        assert found == [number]


def test_deltas_come_in_every_format(shared_collector: CollectorProcess) -> None:
    run = new_run()
    send(shared_collector, run, 1)
    _, cursor = load(shared_collector, f"runs/{run}/results", "start")
    send(shared_collector, run, 2)
    url = f"/api/v1/runs/{run}/results?after={cursor}&compression=gzip"
    csv = shared_collector.http.get(f"{url}&format=csv")
    assert unpacked("gzip", csv.content).decode().splitlines()[1].startswith("2,")
    found = shared_collector.http.get(f"{url}&format=json")
    assert [row["data"] for row in json.loads(unpacked("gzip", found.content))] == [{"n": 2}]
    url = f"/api/v1/runs/{run}/results?after={cursor}"
    distinct = shared_collector.http.get(f"{url}&format=csv&distinct_on=n&keep=last&fields=n")
    assert distinct.text.splitlines() == ["n", "2"]
    refused = shared_collector.http.get(f"{url}&format=csv&join=inputs")
    assert (refused.status_code, refused.json()["parameter"]) == (400, "join")


def test_cursors_that_belong_elsewhere_are_refused(shared_collector: CollectorProcess) -> None:
    run = new_run()
    send(shared_collector, run, 1)
    _, cursor = load(shared_collector, f"runs/{run}/results", "start")
    _, merged = load(shared_collector, f"results?run_uid={run}", "start")
    for path in (
        f"runs/{run}/results?format=ndjson&after=odd",
        f"runs/{run}/results?format=ndjson&after={merged}",
        f"runs/{run}/results?format=ndjson&after={cursor}&custom_data.row_id=row-1",
        f"results?format=ndjson&after={cursor}",
        f"results?format=ndjson&after={merged}",
        f"runs/{run}/results?after={cursor}",
        f"runs/{run}/results?format=ndjson&after=",
    ):
        answer = shared_collector.http.get(f"/api/v1/{path}")
        assert answer.status_code == 400, path
        assert answer.json()["parameter"] == "after", path
    url = f"/api/v1/results?format=ndjson&after={merged}&run_uid={run}"
    answer = shared_collector.http.get(f"{url}&received_after=2020-01-01")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "received_after")


def test_a_trailer_says_what_the_file_is(shared_collector: CollectorProcess) -> None:
    run = new_run()
    send(shared_collector, run, 1, 2)
    url = f"/api/v1/runs/{run}/results?format=ndjson"
    plain = shared_collector.http.get(url)
    trailed = shared_collector.http.get(f"{url}&trailer=true")
    *lines, last = trailed.text.splitlines()
    assert lines == plain.text.splitlines()
    facts = {"rows": 2, "next_cursor": None, "completeness": "open", "runs_open": 1}
    assert json.loads(last) == {"_trailer": facts}
    assert (trailed.headers["x-completeness"], trailed.headers["x-runs-open"]) == ("open", "1")
    delta = shared_collector.http.get(f"{url}&trailer=true&after=start")
    cursor = json.loads(delta.text.splitlines()[-1])["_trailer"]["next_cursor"]
    assert cursor == delta.headers["x-next-cursor"]
    for other in (f"/api/v1/runs/{run}/results", f"/api/v1/runs/{run}/results?format=csv"):
        query = f"{other}{'&' if '?' in other else '?'}trailer=true"
        answer = shared_collector.http.get(query)
        assert (answer.status_code, answer.json()["parameter"]) == (400, "trailer")


def test_a_file_says_how_complete_its_runs_are(shared_collector: CollectorProcess) -> None:
    action, ended = new_run(), new_run()
    url = f"/api/v1/results?format=csv&action_name={action}"
    assert "x-completeness" not in shared_collector.http.get(url).headers
    body = callback(ended, run=ended, status="SUCCEEDED")
    body["run"]["action_name"] = action
    shared_collector.send(encoded(body))
    shared_collector.wait_until_projected()

    def told() -> tuple[str, str]:
        headers = shared_collector.http.get(url).headers
        return headers["x-completeness"], headers["x-runs-open"]

    assert told() == ("unverified", "0")
    send(shared_collector, new_run(), 1, action=action)
    assert told() == ("open", "1")
    inputs = shared_collector.http.get(f"/api/v1/runs/{ended}/inputs?format=csv")
    assert inputs.headers["x-completeness"] == "unverified"


def test_loads_while_callbacks_pour_in_leave_no_gap(shared_collector: CollectorProcess) -> None:
    runs = [new_run() for _ in range(4)]
    is_over = threading.Event()

    def pour() -> None:
        with httpx2.Client(
            base_url=shared_collector.base_url,
            headers={"Authorization": "Bearer ingest-token-of-the-tests"},
            trust_env=False,
            verify=False,
        ) as http:
            for number in range(200):
                run = runs[number % len(runs)]
                ref = f"{run}-{number // 8}"  # two bodies under each id
                content = sent(ref, run=run, row=f"r{number // 2}", results=({"n": number},))
                assert http.post("/callbacks", content=content).status_code == 200
        is_over.set()

    sender = threading.Thread(target=pour)
    sender.start()
    path = "results?" + "&".join(f"run_uid={run}" for run in runs)
    cursor, found = "start", []
    while not is_over.is_set():
        new, cursor = load(shared_collector, path, cursor)
        found += new
    sender.join()
    shared_collector.wait_until_projected()
    found += load(shared_collector, path, cursor)[0]
    text = shared_collector.http.get(f"/api/v1/{path}&format=ndjson").text
    exported = Counter(canonical(json.loads(line)["data"]) for line in text.splitlines())
    loaded = Counter(canonical({"n": number}) for number in found)
    assert exported <= loaded
    assert max(loaded.values()) == 1  # every number came in one content


def test_a_cursor_that_is_ahead_or_too_old_is_refused(collector: CollectorProcess) -> None:
    run = new_run()
    send(collector, run, 1)
    paths = (f"runs/{run}/results?", "results?")
    kind = "PostgreSQL" if "COLLECTOR_DATABASE_URL" in collector.env else "SQLite"
    filters: list[list[Any]] = [[run, None, []], [[], None, None, []]]
    for path, of, name in zip(paths, filters, ("run delta", "delta"), strict=True):
        ahead = written_cursor(f"{name}, {kind}", Given(1, 10**9), of)
        answer = collector.http.get(f"/api/v1/{path}format=ndjson&after={ahead}")
        assert answer.status_code == 409, answer.text
    if kind == "SQLite":
        return
    _, cursor = load(collector, "results", "start")
    send(collector, run, 2)
    _, later = load(collector, "results", cursor)
    url = collector.env["COLLECTOR_DATABASE_URL"]
    run_sql(url, "UPDATE marks SET made_at = now() - interval '91 days'")
    run_sql(url, marks._PRUNE.replace("$1", str(marks.KEPT_DAYS)))
    old = collector.http.get(f"/api/v1/results?format=ndjson&after={cursor}")
    assert old.status_code == 410
    assert load(collector, "results", later)[0] == []
    send(collector, run, 3)
    assert load(collector, "results", later)[0] == [3]
    assert run_sql(url, "SELECT count(*) FROM marked_runs")[0][0] == 2
