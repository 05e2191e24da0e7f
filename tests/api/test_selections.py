"""What downloads make of results, over HTTP: distinct, unwound, beside inputs, some fields."""

import csv
import io
import json
from typing import Any

import httpx2
import pytest

from tests.callbacks import callback, encoded, new_run
from tests.collector_process import CollectorProcess

LIST = "merging"


@pytest.fixture(scope="module")
def runs(shared_collector: CollectorProcess) -> tuple[str, str]:
    """Two runs: people who are found again, with more and with less known of them."""
    search, extract = sorted((new_run(), new_run()))
    label = f"list-{search}"
    bodies = [
        body(search, "linkedin-search-people", "a", label, [person(1, None), person(2, "Ada", [])]),
        body(
            search, "linkedin-search-people", "b", label, [person("1", "Zoë"), {"full_name": "?"}]
        ),
        failed(search, "c", label),
        body(extract, "linkedin-extract-people", "d", label, [person(1, "Zoé", ["CEO", "CTO"])]),
        body(extract, "linkedin-extract-people", "e", label, [{"linkedin_company_id": 1}]),
    ]
    for one in bodies:
        assert shared_collector.send(encoded(one)).status_code == 200
    shared_collector.wait_until_projected()
    return search, extract


def person(key: int | str, name: str | None, titles: list[str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"linkedin_profile_id": key, "full_name": name}
    found["linkedin_company_id"] = 7
    if titles is not None:
        found["experiences"] = [{"title": title} for title in titles]
    return found


def body(run: str, action: str, row: str, label: str, results: list[Any]) -> dict[str, Any]:
    one = callback(f"{run}-{row}", run=run, row=row, status="SUCCEEDED", results=tuple(results))
    one["run"]["action_name"] = action
    one["custom_data"]["list"] = label
    return one


def failed(run: str, row: str, label: str) -> dict[str, Any]:
    error = {"error_label": "NO_RESULT", "status_code": 424, "message": "nobody"}
    one = callback(f"{run}-{row}", run=run, row=row, status="FAILED", results=(), error=error)
    one["custom_data"]["list"] = label
    return one


def fetched(collector: CollectorProcess, query: str) -> httpx2.Response:
    return collector.http.get(f"/api/v1/{query}")


def lines(collector: CollectorProcess, query: str) -> list[Any]:
    """Rows of NDJSON, the same ones when asked again."""
    answer, again = fetched(collector, query), fetched(collector, query)
    assert answer.status_code == 200, answer.text
    assert answer.content == again.content
    return [json.loads(line) for line in answer.text.splitlines()]


def table(collector: CollectorProcess, query: str) -> list[dict[str, str]]:
    answer, again = fetched(collector, query), fetched(collector, query)
    assert answer.status_code == 200, answer.text
    assert answer.content == again.content
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def both(runs: tuple[str, str]) -> str:
    return "results?" + "&".join(f"run_uid={run}" for run in runs)


@pytest.mark.parametrize("keep", ["first", "last", "merge"])
def test_one_row_for_each_person_over_runs(
    shared_collector: CollectorProcess, runs: tuple[str, str], keep: str
) -> None:
    rows = lines(shared_collector, f"{both(runs)}&format=ndjson")
    assert len(rows) == 6
    found = lines(
        shared_collector, f"{both(runs)}&format=ndjson&distinct_on=auto&keep={keep}&shape=flat"
    )
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        data = row["data"]
        key = str(data.get("linkedin_profile_id", data.get("full_name")))
        groups.setdefault(key, []).append(row)
    assert {len(group) for group in groups.values()} == {1, 3}
    (people,) = [group for group in groups.values() if len(group) == 3]
    kept = people[-1 if keep == "last" else 0]
    ids = [group[0]["result_id"] for group in groups.values() if len(group) == 1]
    order = [row["result_id"] for row in rows]
    assert [row["_result_id"] for row in found] == sorted(
        [*ids, kept["result_id"]], key=order.index
    )
    (row,) = [row for row in found if row["_result_id"] == kept["result_id"]]
    if keep == "merge":
        names = [one["data"]["full_name"] for one in people if one["data"]["full_name"]]
        assert row["full_name"] == names[0]
        assert row["experiences"] == [{"title": "CEO"}, {"title": "CTO"}]
    else:
        assert row["full_name"] == kept["data"]["full_name"]
    # Lines that are cut out of bodies are the same results.
    nested = lines(shared_collector, f"{both(runs)}&format=ndjson&distinct_on=auto&keep={keep}")
    by_id = {one["result_id"]: one for one in rows}
    assert [one["result_id"] for one in nested] == [one["_result_id"] for one in found]
    for one, flat in zip(nested, found, strict=True):
        assert one["data"].items() <= flat.items()
        assert one | {"data": None} == by_id[one["result_id"]] | {"data": None}


def test_distinct_by_a_column(shared_collector: CollectorProcess, runs: tuple[str, str]) -> None:
    found = table(shared_collector, f"{both(runs)}&format=csv&distinct_on=custom_data.row_id")
    assert sorted(row["custom_data.row_id"] for row in found) == ["a", "b", "d", "e"]
    found = table(shared_collector, f"{both(runs)}&format=csv&distinct_on=_run_uid&keep=last")
    assert [row["_run_uid"] for row in found] == list(runs)


def test_experiences_become_rows(shared_collector: CollectorProcess, runs: tuple[str, str]) -> None:
    query = f"{both(runs)}&format=csv&unwind=experiences&distinct_on=auto&keep=merge"
    rows = table(shared_collector, f"{query}&fields=full_name,experiences,_unwind_index")
    assert list(rows[0]) == ["full_name", "experiences.title", "_unwind_index"]
    found = [tuple(row.values()) for row in rows]
    assert {one[1:] for one in found if one[1]} == {("CEO", "0"), ("CTO", "1")}
    assert ("Ada", "", "") in found
    assert len(found) == 5
    records = lines(shared_collector, f"{both(runs)}&format=ndjson&unwind=experiences")
    assert [
        (row["data"]["experiences"], row["unwind_index"])
        for row in records
        if row["unwind_index"] is not None
    ] == [({"title": "CEO"}, 0), ({"title": "CTO"}, 1)]


def test_each_input_has_its_results_or_its_error_beside_it(
    shared_collector: CollectorProcess, runs: tuple[str, str]
) -> None:
    query = f"{both(runs)}&format=csv&join=inputs"
    rows = table(shared_collector, f"{query}&omit=experiences,linkedin_company_id")
    assert list(rows[0])[:11] == [
        "full_name",
        "linkedin_profile_id",
        "custom_data.list",
        "custom_data.row_id",
        "input.linkedin_profile_url",
        "_status",
        "error.label",
        "error.message",
        "error.scope",
        "error.status_code",
        "error.error_ref",
    ]
    assert list(rows[0])[-5:] == [
        "_input_uid",
        "_result_count",
        "_run_uid",
        "_result_id",
        "_received_at",
    ]
    told = sorted((row["custom_data.row_id"], row["full_name"], row["error.label"]) for row in rows)
    assert told == [
        ("a", "", ""),
        ("a", "Ada", ""),
        ("b", "?", ""),
        ("b", "Zoë", ""),
        ("c", "", "NO_RESULT"),
        ("d", "Zoé", ""),
        ("e", "", ""),
    ]
    of_run = table(shared_collector, f"runs/{runs[0]}/results?format=csv&join=inputs")
    assert len(of_run) == 5
    records = lines(shared_collector, f"{both(runs)}&format=ndjson&join=inputs")
    assert {row["status"] for row in records} == {"SUCCEEDED", "FAILED"}
    assert [row["data"] for row in records if row["status"] == "FAILED"] == [None]
    one = lines(
        shared_collector,
        f"{both(runs)}&format=ndjson&join=inputs&custom_data.row_id=c&fields=error",
    )
    assert [(row["error"]["label"], row["result_count"]) for row in one] == [("NO_RESULT", 0)]


def test_pages_have_the_fields_that_are_wanted(
    shared_collector: CollectorProcess, runs: tuple[str, str]
) -> None:
    (_, extract) = runs
    for path in (f"runs/{extract}/results?", f"results?run_uid={extract}&"):
        page = fetched(shared_collector, f"{path}fields=full_name&shape=flat").json()["data"]
        assert {"full_name": "Zoé"} in page
        page = fetched(shared_collector, f"{path}omit=full_name,input").json()["data"]
        assert {"input", "full_name"}.isdisjoint(page[0].keys() | page[0]["data"].keys())


@pytest.mark.parametrize(
    ("query", "parameter", "says"),
    [
        ("format=csv&fields=full_nam", "fields", "full_name"),
        ("format=ndjson&omit=row_id", "omit", "custom_data.row_id"),
        ("format=csv&fields=", "fields", "empty"),
        ("format=csv&omit=full_name&fields=full_name", "omit", "nothing is left"),
        ("format=csv&unwind=full_name", "unwind", "no list"),
        ("format=csv&unwind=experience", "unwind", "experiences"),
        ("format=csv&distinct_on=profile_id", "distinct_on", "linkedin_profile_id"),
        ("format=csv&distinct_on=auto&keep=all", "keep", "merge"),
        ("format=csv&keep=first", "keep", "distinct_on"),
        ("format=csv&join=results", "join", "inputs"),
        ("format=csv&join=inputs&distinct_on=auto", "join", "distinct_on"),
        ("unwind=experiences", "unwind", "format"),
        ("distinct_on=auto", "distinct_on", "format"),
        ("join=inputs", "join", "format"),
        ("fields=nobody_has_it", "fields", "no such field"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(
    shared_collector: CollectorProcess,
    runs: tuple[str, str],
    query: str,
    parameter: str,
    says: str,
) -> None:
    for path in (f"runs/{runs[0]}/results?", f"runs/{runs[1]}/results?", f"{both(runs)}&"):
        answer = fetched(shared_collector, path + query)
        assert answer.status_code == 400, answer.text
        assert answer.json()["parameter"] == parameter
        assert says in answer.json()["detail"]


def test_results_of_a_time(shared_collector: CollectorProcess, runs: tuple[str, str]) -> None:
    rows = lines(shared_collector, f"{both(runs)}&format=ndjson")
    times = sorted({row["received_at"] for row in rows})
    first, last = times[0], times[-1]
    assert len(times) > 1
    between = f"received_after={first}&received_before={last}"
    found = lines(shared_collector, f"{both(runs)}&format=ndjson&{between}")
    assert found == [row for row in rows if first < row["received_at"] < last]
    page = fetched(shared_collector, f"{both(runs)}&received_before={last}").json()["data"]
    assert page == [row for row in rows if row["received_at"] < last]
    answer = fetched(shared_collector, f"{both(runs)}&format=csv&join=inputs&{between}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "join")


def test_the_document_names_what_can_be_made_of_results(
    shared_collector: CollectorProcess,
) -> None:
    document = shared_collector.http.get("/openapi.json").json()
    for path in ("runs/{run_uid}/results", "results"):
        read = document["paths"][f"/api/v1/{path}"]["get"]
        found = {parameter["name"]: parameter for parameter in read["parameters"]}
        assert found["keep"]["schema"]["enum"] == ["first", "last", "merge"]
        assert found["join"]["schema"]["enum"] == ["inputs"]
        assert found["fields"]["schema"]["type"] == found["omit"]["schema"]["type"] == "array"
        assert found.keys() >= {"unwind", "distinct_on"}
    assert "received_before" in found
