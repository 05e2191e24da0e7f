"""Files made in the background: the same bytes as a download, whole or not at all."""

import resource
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.callbacks import callback, encoded, new_run
from tests.collector_process import CollectorProcess
from tests.databases import run as run_sql
from tests.edges_process import wait_until

ACTION = "linkedin-extract-people"
NOWHERE = "019aaaaa-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def run(shared_collector: CollectorProcess) -> str:
    return filled(shared_collector)


def filled(collector: CollectorProcess, results: int = 3) -> str:
    """A run of two inputs with so many results each."""
    uid = new_run()
    for row in ("row-1", "row-2"):
        rows = tuple({"name": f"{row} Zoë {number}", "n": number} for number in range(results))
        body = callback(f"{uid}-{row}", run=uid, row=row, results=rows)
        body["run"]["action_name"] = ACTION
        assert collector.send(encoded(body)).status_code == 200
    collector.wait_until_projected()
    return uid


def asked(collector: CollectorProcess, body: Any, **headers: str) -> httpx2.Response:
    return collector.http.post("/api/v1/exports", json=body, headers=headers)


def made(collector: CollectorProcess, body: Any) -> dict[str, Any]:
    """The export once it is over."""
    answer = asked(collector, body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"].endswith(answer.json()["export_id"])
    return over(collector, answer.json()["export_id"])


def over(collector: CollectorProcess, export_id: str) -> dict[str, Any]:
    wait_until(
        lambda: look(collector, export_id)["state"] not in ("queued", "running"), collector.log
    )
    return look(collector, export_id)


def look(collector: CollectorProcess, export_id: str) -> dict[str, Any]:
    found: dict[str, Any] = collector.get(f"exports/{export_id}")
    return found


def folder_of(collector: CollectorProcess) -> Path:
    return collector.data_dir / "exports"


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"format": "ndjson"}, "format=ndjson"),
        ({"format": "ndjson", "trailer": True}, "format=ndjson&trailer=true"),
        (
            {"format": "csv", "bom": True, "separator": "tab", "compression": "gzip"},
            "format=csv&bom=true&separator=tab&compression=gzip",
        ),
        (
            {"format": "json", "shape": "flat", "custom_data": {"row_id": "row-2"}},
            "format=json&shape=flat&custom_data.row_id=row-2",
        ),
        ({"format": "xlsx"}, "format=xlsx"),
        ({"format": "parquet"}, "format=parquet"),
        (
            {"format": "csv", "distinct_on": "n", "fields": ["n", "name"]},
            "format=csv&distinct_on=n&fields=n&fields=name",
        ),
    ],
)
def test_a_file_has_the_bytes_of_the_download(
    shared_collector: CollectorProcess, run: str, body: dict[str, Any], query: str
) -> None:
    job = made(shared_collector, body | {"run_uid": [run]})
    plain = shared_collector.http.get(
        f"/api/v1/results?run_uid={run}&{query}", headers={"Accept-Encoding": "identity"}
    )
    file = shared_collector.http.get(job["file_url"])
    assert file.content == plain.content
    same = ("content-type", "content-disposition", "x-completeness", "x-runs-open")
    assert [file.headers[name] for name in same] == [plain.headers[name] for name in same]
    assert (job["state"], job["progress"], job["problem"]) == ("done", 1.0, None)
    is_part = not body.keys().isdisjoint(("custom_data", "distinct_on"))
    assert job["rows"] == (3 if is_part else 6)
    assert job["rows_expected"] == (None if is_part else 6)
    assert job["bytes"] == len(plain.content)
    assert (job["completeness"], job["runs_open"]) == ("open", 1)
    path = folder_of(shared_collector) / f"export-{job['export_id']}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_ranges_and_etags(shared_collector: CollectorProcess, run: str) -> None:
    job = made(shared_collector, {"format": "csv", "run_uid": run})
    url, get = job["file_url"], shared_collector.http.get
    whole = get(url)
    etag = whole.headers["etag"]
    assert not etag.startswith("W/")
    assert whole.headers["accept-ranges"] == "bytes"
    part = get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    for known, status in ((etag, 206), ('"other"', 200)):
        assert get(url, headers={"Range": "bytes=0-4", "If-Range": known}).status_code == status
    assert get(url, headers={"If-None-Match": f'"x", {etag}'}).status_code == 304
    assert get(url, headers={"Range": "bytes=999999-"}).status_code == 416
    again = made(shared_collector, {"format": "csv", "run_uid": run})
    assert get(again["file_url"]).headers["etag"] == etag  # the same bytes


def test_the_same_key_asks_once(shared_collector: CollectorProcess, run: str) -> None:
    body, key = {"format": "csv", "run_uid": run}, {"Idempotency-Key": new_run()}
    first = asked(shared_collector, body, **key).json()["export_id"]
    assert asked(shared_collector, body, **key).json()["export_id"] == first
    other = asked(shared_collector, body | {"bom": True}, **key)
    assert other.status_code == 409
    assert asked(shared_collector, body).json()["export_id"] != first
    assert asked(shared_collector, body, **{"Idempotency-Key": "x" * 201}).status_code == 400


def test_what_cannot_be_made_is_refused_at_once(
    shared_collector: CollectorProcess, run: str
) -> None:
    for body, named in (
        ({}, "format"),
        ({"format": "odd"}, "format"),
        ({"format": "csv", "colour": "red"}, "colour"),
        ({"format": "csv", "run_uid": {"a": 1}}, "run_uid"),
        ({"format": "csv", "trailer": True}, "trailer"),
        ({"format": "csv", "run_uid": run, "after": "odd"}, "after"),
    ):
        answer = asked(shared_collector, body)
        assert answer.status_code == 400, answer.text
        assert named in answer.json()["detail"]
    for path in (NOWHERE, f"{NOWHERE}/file", "odd"):
        assert shared_collector.http.get(f"/api/v1/exports/{path}").status_code == 404


def test_exports_are_listed_and_dropped(shared_collector: CollectorProcess, run: str) -> None:
    ids = [made(shared_collector, {"format": "csv", "run_uid": run})["export_id"] for _ in "123"]
    listed = [job["export_id"] for job in shared_collector.pages("exports", limit=2)]
    assert listed[:3] == ids[::-1]
    assert shared_collector.http.delete(f"/api/v1/exports/{ids[0]}").status_code == 204
    assert not (folder_of(shared_collector) / f"export-{ids[0]}").exists()
    assert shared_collector.http.get(f"/api/v1/exports/{ids[0]}/file").status_code == 404
    (folder_of(shared_collector) / f"export-{ids[1]}").unlink()
    missing = shared_collector.http.get(f"/api/v1/exports/{ids[1]}/file")
    assert missing.status_code == 503
    assert "COLLECTOR_EXPORT_DIR" in missing.json()["detail"]


def test_deltas_by_files(shared_collector: CollectorProcess, run: str) -> None:
    body = {"format": "ndjson", "run_uid": run}
    first = made(shared_collector, body | {"after": "start"})
    assert first["rows"] == 6
    second = made(shared_collector, body | {"after": first["next_cursor"]})
    assert second["rows"] == 0


@pytest.mark.parametrize("point", ["export piece:2", "export before rename", "export after rename"])
def test_a_job_that_was_killed_runs_again(
    start_collector: Callable[..., CollectorProcess],
    database: Mapping[str, str],
    point: str,
) -> None:
    collector = start_collector(env={"COLLECTOR_CRASH_AT": point})
    uid = filled(collector)
    export_id = asked(collector, {"format": "csv", "run_uid": uid}).json()["export_id"]
    assert collector.process.wait(timeout=60) == -9
    if "COLLECTOR_DATABASE_URL" in database:
        lapse(database["COLLECTOR_DATABASE_URL"])
    again = start_collector()
    job = over(again, export_id)
    assert (job["state"], job["rows"]) == ("done", 6)
    plain = again.http.get(f"/api/v1/results?run_uid={uid}&format=csv")
    assert again.http.get(job["file_url"]).content == plain.content
    assert [path.name for path in folder_of(again).iterdir()] == [f"export-{export_id}"]


def lapse(url: str) -> None:
    """As if the time of a lease had gone by."""
    run_sql(url, "UPDATE exports SET leased_until_ms = 0")


def test_files_expire(start_collector: Callable[..., CollectorProcess]) -> None:
    collector = start_collector(env={"COLLECTOR_EXPORT_RETENTION_HOURS": str(2 / 3600)})
    folder = folder_of(collector)
    folder.mkdir(exist_ok=True)
    (folder / f"export-{NOWHERE}").write_bytes(b"of nobody")
    (folder / "export-notes.txt").write_bytes(b"somebody's own")
    job = made(collector, {"format": "csv", "run_uid": filled(collector)})
    assert job["expires_at"] > job["finished_at"]
    wait_until(
        lambda: [one.name for one in folder.iterdir()] == ["export-notes.txt"], collector.log
    )
    assert look(collector, job["export_id"])["state"] == "expired"
    assert collector.http.get(f"/api/v1/exports/{job['export_id']}/file").status_code == 410
    wait_until(lambda: collector.get("exports")["data"] == [], collector.log)


def test_a_folder_that_cannot_be_written_fails_the_job(
    start_collector: Callable[..., CollectorProcess], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    collector = start_collector(env={"COLLECTOR_EXPORT_DIR": str(tmp_path / "file" / "x")})
    job = made(collector, {"format": "csv", "run_uid": filled(collector)})
    assert job["state"] == "failed"
    assert "COLLECTOR_EXPORT_DIR" in job["problem"]
    answer = collector.http.get(f"/api/v1/exports/{job['export_id']}/file")
    assert (answer.status_code, answer.json()["detail"]) == (409, job["problem"])


def test_a_job_that_is_dropped_while_it_runs_leaves_nothing(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    collector = start_collector()
    uid = filled(collector, results=2_000)
    export_id = asked(collector, {"format": "csv", "run_uid": uid}).json()["export_id"]
    assert collector.http.delete(f"/api/v1/exports/{export_id}").status_code == 204
    time.sleep(0.5)
    wait_until(lambda: not list(folder_of(collector).glob("export-*")), collector.log)


def test_a_full_disk_fails_the_job_and_leaves_nothing(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))

    collector = start_collector(preexec=little_room)
    uid = new_run()
    for number in range(8):  # they are small as long as they are packed
        body = callback(f"{uid}-{number}", run=uid, row=str(number), results=("x" * 900_000,))
        assert collector.send(encoded(body)).status_code == 200
    collector.wait_until_projected()
    job = made(collector, {"format": "ndjson", "run_uid": uid})
    assert job["state"] == "failed"
    assert "Make room" in job["problem"]
    assert list(folder_of(collector).iterdir()) == []
    assert made(collector, {"format": "ndjson", "run_uid": filled(collector)})["state"] == "done"
