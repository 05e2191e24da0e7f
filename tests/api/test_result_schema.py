"""What results look like, over HTTP."""

from typing import Any

from jsonschema import Draft202012Validator

from app.export import sample
from tests.callbacks import new_run, sent
from tests.collector_process import CollectorProcess

JOBS = [{"title": "engineer", "years": 2}]


def columns_of(answer: dict[str, Any]) -> dict[str, tuple[str, float, list[Any]]]:
    return {
        one["name"]: (one["type"], one["fill_rate"], one["examples"]) for one in answer["columns"]
    }


def test_a_run_tells_what_its_results_look_like(shared_collector: CollectorProcess) -> None:
    run = new_run()
    for number in range(10):
        result = {"id": number, "jobs": JOBS, "bio": "x" * 500 if number % 2 else None}
        body = sent(f"c{number}", run=run, row=f"row-{number}", results=(result,))
        assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    answer = shared_collector.http.get(f"/api/v1/runs/{run}/results/schema").json()
    assert answer["sample"] == {"results": 10, "is_whole": True}
    columns = columns_of(answer)
    assert columns["id"] == ("integer", 1.0, [0, 1, 2])
    assert columns["bio"] == ("text", 0.5, ["x" * 100 + "…"])
    assert columns["jobs"] == (
        "list<struct<title: text, years: integer>>",
        1.0,
        ['[{"title":"engineer","years":2}]'],
    )
    assert columns["custom_data.row_id"][:2] == ("text", 1.0)
    assert columns["_received_at"][0] == "time"
    header = shared_collector.http.get(f"/api/v1/runs/{run}/results?format=csv").text
    assert list(columns) == header.split("\r\n", 1)[0].split(",")
    validator = Draft202012Validator(answer["json_schema"])
    rows = shared_collector.pages(f"runs/{run}/results")
    assert len(rows) == 10
    for row in rows:
        validator.validate(row)


def test_many_results_are_sampled_over_all_of_them(shared_collector: CollectorProcess) -> None:
    runs = [new_run() for _ in range(2)]
    for run, name in zip(runs, ("early", "late"), strict=True):
        for number in range(60):
            results = tuple({name: number, "place": place} for place in range(50))
            body = sent(f"c{number}", run=run, row=f"row-{number}", results=results)
            assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    chosen = {"run_uid": runs}
    answer = shared_collector.http.get("/api/v1/results/schema", params=chosen).json()
    columns = columns_of(answer)
    assert not answer["sample"]["is_whole"]
    assert sample.SAMPLE_MAX / 3 < answer["sample"]["results"] <= sample.SAMPLE_MAX
    assert 0.3 < columns["early"][1] < 0.7
    assert columns["early"][1] + columns["late"][1] == 1
    spread = [value for _, _, examples in columns.values() for value in examples]
    assert max(value for value in spread if isinstance(value, int)) > 2
    again = shared_collector.http.get("/api/v1/results/schema", params=chosen).json()
    assert again == answer


def test_a_run_without_results_has_columns_of_its_own_only(
    shared_collector: CollectorProcess,
) -> None:
    run = new_run()
    body = sent("c0", run=run, row="r", results=(), status="FAILED", error={"label": "NO_RESULT"})
    assert shared_collector.send(body).status_code == 200
    shared_collector.wait_until_projected()
    answer = shared_collector.http.get(f"/api/v1/runs/{run}/results/schema").json()
    assert answer["sample"] == {"results": 0, "is_whole": True}
    assert {one["fill_rate"] for one in answer["columns"]} == {None}
    assert shared_collector.http.get("/api/v1/runs/no-such/results/schema").status_code == 404
