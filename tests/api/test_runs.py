"""Runs over HTTP: lists, filters, cursors, and what is refused."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.callbacks import callback, encoded, new_run, sent
from tests.collector_process import ADMIN_KEY, CollectorProcess


@pytest.fixture(scope="module")
def runs(shared_collector: CollectorProcess) -> list[str]:
    """Seven runs, oldest first: of two actions, every other one at its end."""
    uids = [new_run() for _ in range(7)]
    for number, uid in enumerate(uids):
        end = callback(f"d{number}", run=uid, row=None, results=())
        end["run"]["status"] = "SUCCEEDED" if number % 2 else "RUNNING"
        end["run"]["action_name"] = f"action-{number % 3}"
        for body in (sent(f"c{number}", run=uid, row=f"needle-{number}"), encoded(end)):
            assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    return uids


def test_the_list_pages_through_every_run_once(
    shared_collector: CollectorProcess, runs: list[str]
) -> None:
    for sort, expected in (("created", runs), ("-created", runs[::-1])):
        rows = shared_collector.pages("runs", sort=sort, limit=2)
        assert [row["run_uid"] for row in rows if row["run_uid"] in runs] == expected
        assert len({row["run_uid"] for row in rows}) == len(rows)


def test_a_page_links_to_the_next(shared_collector: CollectorProcess, runs: list[str]) -> None:
    del runs
    answer = shared_collector.http.get("/api/v1/runs", params={"limit": 3, "sort": "created"})
    target, _, relation = answer.headers["link"].partition("; ")
    assert relation == 'rel="next"'
    query = parse_qs(urlsplit(target.strip("<>")).query)
    assert query == {"limit": ["3"], "sort": ["created"], "cursor": [answer.json()["next_cursor"]]}
    assert shared_collector.http.get(target.strip("<>")).status_code == 200


@pytest.mark.parametrize(
    ("filters", "places"),
    [
        ({"status": "SUCCEEDED"}, [1, 3, 5]),
        ({"action_name": "action-1"}, [1, 4]),
        ({"completeness": "unverified"}, [1, 3, 5]),
        ({"completeness": "open", "action_name": "action-0"}, [0, 6]),
        ({"q": "needle-4"}, [4]),
        ({"status": "NONE"}, []),
    ],
)
def test_filters_choose_runs(
    shared_collector: CollectorProcess,
    runs: list[str],
    filters: dict[str, str],
    places: list[int],
) -> None:
    rows = shared_collector.pages("runs", sort="created", **filters)
    found = [runs.index(row["run_uid"]) for row in rows if row["run_uid"] in runs]
    assert found == places


def test_part_of_a_uid_finds_the_run(shared_collector: CollectorProcess, runs: list[str]) -> None:
    (row,) = shared_collector.get("runs", q=runs[2][4:30])["data"]
    assert row["run_uid"] == runs[2]


def test_a_run_has_the_fields_of_the_contract(
    shared_collector: CollectorProcess, runs: list[str]
) -> None:
    run = shared_collector.get(f"runs/{runs[1]}")
    assert run["counts"] == {
        "callbacks": 2,
        "duplicates": 0,
        "conflicts": 0,
        "results": 1,
        "expected_results": None,
        "inputs": 1,
        "inputs_succeeded": 0,
        "inputs_failed": 0,
        "inputs_pending": 1,
    }
    assert (run["status"], run["completeness"]) == ("SUCCEEDED", "unverified")
    assert run["first_received_at"] <= run["finished_at"] <= run["last_received_at"]
    assert run["first_received_at"].endswith("Z")


BAD_QUERIES: list[tuple[str, dict[str, Any], str]] = [
    ("runs", {"colour": "red"}, "colour"),
    ("runs", {"limit": "0"}, "limit"),
    ("runs", {"limit": "1001"}, "limit"),
    ("runs", {"limit": "ten"}, "limit"),
    ("runs", {"sort": "name"}, "sort"),
    ("runs", {"cursor": "nonsense"}, "cursor"),
    ("runs", {"created_after": "yesterday"}, "created_after"),
    ("runs", {"status": ""}, "status"),
    ("runs", {"status": "x" * 1001}, "status"),
    ("results", {"format": "pdf"}, "format"),
    ("results", {"shape": "round", "format": "csv"}, "shape"),
    ("quarantine", {"after": "1"}, "after"),
]


@pytest.mark.parametrize(("path", "query", "parameter"), BAD_QUERIES)
def test_a_bad_query_is_refused_by_name(
    shared_collector: CollectorProcess, path: str, query: dict[str, Any], parameter: str
) -> None:
    answer = shared_collector.http.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["parameter"] == parameter
    assert parameter in problem["detail"]


def test_a_parameter_twice_is_refused(shared_collector: CollectorProcess) -> None:
    answer = shared_collector.http.get("/api/v1/runs?limit=1&limit=2")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "limit")


@pytest.mark.parametrize("key", ["", "Bearer wrong", ADMIN_KEY, f"Basic {ADMIN_KEY}"])
def test_without_the_key_nothing_is_told(shared_collector: CollectorProcess, key: str) -> None:
    for path in ("runs", "results", "quarantine", "no-such-thing"):
        answer = httpx2.get(
            f"{shared_collector.base_url}/api/v1/{path}",
            headers={"Authorization": key},
            trust_env=False,
        )
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["runs/none", "runs/none/results", "runs/none/callbacks/x/raw"])
def test_what_is_not_there_is_a_404(shared_collector: CollectorProcess, path: str) -> None:
    answer = shared_collector.http.get(f"/api/v1/{path}")
    assert answer.status_code == 404
    assert "none" in answer.json()["detail"]


def test_a_wrong_method_is_a_405_with_allow(shared_collector: CollectorProcess) -> None:
    answer = shared_collector.http.post("/api/v1/runs/x/results")
    assert (answer.status_code, answer.json()["status"]) == (405, 405)
    assert "GET" in answer.headers["allow"]
