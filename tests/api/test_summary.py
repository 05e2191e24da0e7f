"""A run in figures, over HTTP."""

from tests.callbacks import new_run, sent
from tests.collector_process import CollectorProcess


def test_a_run_in_figures(shared_collector: CollectorProcess) -> None:
    run = new_run()
    error = {"error_label": "NO_RESULT"}
    for number in range(12):
        row = f"row-{number}"
        if number < 4:
            body = sent(row, run=run, row=row, status="FAILED", results=(), error=error)
        else:
            body = sent(
                row, run=run, row=row, status="SUCCEEDED", results=({"n": 1},) * (number % 3)
            )
        assert shared_collector.send(body).status_code == 200
    again = sent("replay", run=run, row="row-5", status="SUCCEEDED", results=({"n": 1},) * 2)
    assert shared_collector.send(again).status_code == 200
    shared_collector.wait_until_projected()
    summary = shared_collector.http.get(f"/api/v1/runs/{run}/summary").json()
    assert summary["inputs_by_status"] == {"SUCCEEDED": 8, "FAILED": 4}
    assert summary["inputs_by_error"] == {"NO_RESULT": 4}
    assert summary["inputs_by_results"] == [
        {"results": 0, "to": 0, "inputs": 6},
        {"results": 1, "to": 1, "inputs": 3},
        {"results": 2, "to": 2, "inputs": 3},
    ]
    over_time = summary["over_time"]
    assert over_time["interval_s"] == 1
    assert sum(one["callbacks"] for one in over_time["intervals"]) == 13
    assert sum(one["results"] for one in over_time["intervals"]) == 9  # a replay adds nothing
    assert over_time["intervals"][0]["from"].endswith("Z")
    columns = {one["name"]: one["fill_rate"] for one in summary["columns"]}
    assert (columns["n"], columns["_run_uid"]) == (1.0, 1.0)
    assert summary["sample"] == {"results": 9, "is_whole": True}
    quick = shared_collector.http.get(f"/api/v1/runs/{run}/summary?columns=false").json()
    assert quick == {name: summary[name] for name in summary if name not in ("columns", "sample")}
    assert shared_collector.http.get("/api/v1/runs/no-such/summary").status_code == 404
    assert shared_collector.http.get(f"/api/v1/runs/{run}/summary?x=1").status_code == 400
