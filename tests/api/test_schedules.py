"""Schedules over HTTP: lists, one with its iterations, and what is passed on to Edges."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.api.access import Keyring
from app.api.application import create_api
from app.api.resources import Resources
from app.api.sessions import Sessions
from app.demo import Demo
from app.export.jobs import ExportFolder
from app.model import Arrival
from app.notify.links import LinkSigner
from app.notify.sealing import Seal
from app.reconcile.errors import (
    AnswerShapeError,
    EdgesApiError,
    EdgesRefusedError,
    EdgesUnavailableError,
    KeyRefusedError,
    OutcomeUnknownError,
)
from app.reconcile.schedule_poll import SchedulePoller
from app.settings import Settings
from app.store.database import opened_for_work, store_of
from app.store.protocol import Store
from tests.callbacks import callback, encoded
from tests.collector_process import CollectorProcess
from tests.reconcile.fake_edges import FakeEdges
from tests.store.arrivals import project

HOUR = 3_600_000
NOW = round(datetime.now(UTC).replace(minute=30, second=0, microsecond=0).timestamp() * 1000)
"""Half past of some hour, for what is due at the full one."""

ERROR = {"label": "BAD_INPUT", "message": "no"}


@dataclass
class Api:
    """The API within the test's own process, over a store and a fake Edges."""

    store: Store
    settings: Settings
    runner: asyncio.Runner
    edges: FakeEdges = field(default_factory=FakeEdges)
    has_key: bool = True

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        resources = Resources(
            store=self.store,
            data_dir=Path(),
            result_keys=("results",),
            store_callback=lambda arrival: NotImplemented,
            waiting=lambda: 0,
            is_draining=lambda: False,
            worker_state=lambda: (True, ""),
            is_projecting=True,
            reconciler=lambda: None,
            ready_lag_s=60.0,
            schedule_api=lambda: self.edges if self.has_key else None,
            base_url="http://api",
            seal=Seal("key"),
            allows_plain_urls=False,
            has_mail=False,
            live=lambda: NotImplemented,
            addressed=lambda events, endpoints: NotImplemented,
            compose=lambda row, delivery: NotImplemented,
            wake_deliveries=lambda: None,
            export_folder=ExportFolder(self.settings.export_path),
            wake_exports=lambda: None,
            wake_erasing=lambda: None,
            sink_dir=None,
            wake_sinks=lambda: None,
            keyring=(keyring := Keyring("key", self.store.api_keys)),
            settings=self.settings,
            ingest_token="token",
            demo=Demo(callback_url=lambda: "", token="token"),
            recent=list,
            edges_budget_left=lambda: None,
            started_s=0.0,
        )

        async def asking() -> httpx2.Response:
            transport = httpx2.ASGITransport(
                create_api(
                    resources,
                    keyring=keyring,
                    links=LinkSigner("key"),
                    sessions=Sessions(keyring, "key", []),
                )
            )
            async with httpx2.AsyncClient(
                transport=transport,
                base_url="http://api/api/v1/",
                headers={"Authorization": "Bearer key"},
            ) as client:
                return await client.request(method, path, **options)

        return self.runner.run(asking())

    def get(self, path: str, **params: Any) -> Any:
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def poll(self, now_ms: int) -> None:
        poller = SchedulePoller(
            self.store, self.edges, every_s=300, grace_s=60, now_ms=lambda: now_ms
        )
        self.runner.run(poller.poll())

    def hear(self, run_uid: str, received_ms: int, schedule: str, status: str) -> None:
        body = callback(str(received_ms), run=run_uid, status=status)
        body["run"]["scheduled_run_uid"] = schedule
        arrival = Arrival(run_uid, str(received_ms), encoded(body), received_ms)
        self.runner.run(self.store.append([arrival]))
        with opened_for_work(self.settings, "worker") as work:
            project(work)


@pytest.fixture
def api(database: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name, value in database.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    with asyncio.Runner() as runner:
        store = store_of(settings, on_news=lambda: None)
        runner.run(store.open())
        yield Api(store, settings, runner)
        runner.run(store.close())


def when(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --------------------------------------------------------------------------- reading


def test_the_list_pages_and_filters(api: Api) -> None:
    for number in range(5):
        api.edges.add(
            f"s{number}",
            status="PAUSED" if number % 2 else "ACTIVE",
            action_name=f"action-{number % 3}",
        )
    api.poll(NOW)
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get("schedules", limit=2, **cursor)
        found += [row["scheduled_run_uid"] for row in answer["data"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert found == ["s0", "s1", "s2", "s3", "s4"]
    for filters, uids in (
        ({"status": "PAUSED"}, ["s1", "s3"]),
        ({"status": "paused", "action_name": "action-0"}, ["s3"]),
        ({"action_name": "none"}, []),
    ):
        rows = api.get("schedules", **filters)["data"]
        assert [row["scheduled_run_uid"] for row in rows] == uids


def test_a_schedule_is_told_with_its_next_run(api: Api) -> None:
    api.edges.add(
        "s1",
        "0 9 * * 1-5",
        name="Leads",
        timezone="Europe/Paris",
        created_at="2026-11-01T00:00:00Z",
        inputs=["kept"],
    )
    api.poll(NOW)
    (row,) = api.get("schedules")["data"]
    assert row["cron_in_words"] == "At 09:00 on Monday through Friday"
    assert (row["name"], row["timezone"], row["status"]) == ("Leads", "Europe/Paris", "ACTIVE")
    assert row["created_at"] == "2026-11-01T00:00:00.000Z"
    assert row["told_at"] == row["first_seen_at"] == when(NOW)
    assert row["problem"] is row["inactive_since"] is None
    detail = api.get("schedules/s1")
    assert {name: detail[name] for name in row} == row
    assert detail["record"]["inputs"] == ["kept"]
    assert detail["next"][0]["due_at"] == row["next_run_at"]
    assert len(detail["next"]) == 5
    for moment in detail["next"]:
        local = datetime.fromisoformat(moment["due_at_local"])
        assert (local.hour, local.minute) == (9, 0)
        assert local == datetime.fromisoformat(moment["due_at"])


def test_a_schedule_has_its_iterations_and_runs(api: Api) -> None:
    api.edges.add("s1")
    api.poll(NOW - 6 * HOUR)
    full_hour = NOW - HOUR // 2
    api.hear("run-5", full_hour - 5 * HOUR + 1_000, "s1", "SUCCEEDED")
    api.hear("run-3", full_hour - 3 * HOUR + 1_000, "s1", "RUNNING")
    api.hear("run-3", full_hour - 2 * HOUR + 1_000, "s1", "SUCCEEDED")
    api.hear("another", full_hour - 3 * HOUR, "s2", "SUCCEEDED")
    api.edges.run_records = [
        {"uid": "unheard", "scheduled_run_uid": "s1", "created_at": when(full_hour - HOUR)}
        | {"finished_at": when(full_hour - HOUR + 1), "status": "SUCCEEDED"}
    ]
    api.poll(full_hour + 30_000)
    detail = api.get("schedules/s1")
    iterations = detail["iterations"]
    if iterations[0]["due_at"] > when(full_hour):  # a full hour has come since
        iterations = iterations[1:]
    assert [(one["due_at"], one["state"], one["run_uid"]) for one in iterations] == [
        (when(full_hour), "pending", None),
        (when(full_hour - HOUR), "unheard", None),
        (when(full_hour - 2 * HOUR), "skipped", None),
        (when(full_hour - 3 * HOUR), "ran", "run-3"),
        (when(full_hour - 4 * HOUR), "missed", None),
        (when(full_hour - 5 * HOUR), "ran", "run-5"),
    ]
    assert iterations[2]["skipped_behind"] == "run-3"
    assert iterations[4]["missed_noted_at"] == when(full_hour + 30_000)
    assert [run["run_uid"] for run in detail["runs"]] == ["run-3", "run-5"]


def test_a_paused_schedule_expects_nothing(api: Api) -> None:
    api.edges.add("s1", status="PAUSED")
    api.poll(NOW - 9 * HOUR)
    detail = api.get("schedules/s1")
    assert detail["inactive_since"] == when(NOW - 9 * HOUR)
    assert detail["next"] == detail["iterations"] == detail["runs"] == []
    assert detail["next_run_at"] is None


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [("@daily", "UTC", "five fields"), ("0 0 * * *", "Mars/Crater", "time zone")],
)
def test_a_timetable_that_cannot_be_read_is_told(api: Api, cron: str, zone: str, said: str) -> None:
    api.edges.add("s1", cron, timezone=zone)
    api.poll(NOW)
    detail = api.get("schedules/s1")
    assert said in detail["problem"]
    assert detail["next"] == detail["iterations"] == []
    assert api.get("schedules")["data"][0]["cron"] == cron


def test_what_is_due_every_minute_is_cut(api: Api) -> None:
    api.edges.add("s1", "* * * * *")
    api.poll(NOW - 30 * HOUR)
    api.poll(NOW - 29 * HOUR)
    assert len(api.get("schedules/s1")["iterations"]) == 50
    more = api.get("schedules/s1", iterations="1000", next="90")
    assert (len(more["iterations"]), len(more["next"])) == (1_000, 90)


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("schedules", {"colour": "red"}, "colour"),
        ("schedules", {"limit": "0"}, "limit"),
        ("schedules", {"cursor": "nonsense"}, "cursor"),
        ("schedules", {"status": ""}, "status"),
        ("schedules/s1", {"limit": "5"}, "limit"),
        ("schedules/s1", {"iterations": "1001"}, "iterations"),
        ("schedules/s1", {"next": "0"}, "next"),
    ],
)
def test_a_bad_query_is_refused_by_name(
    api: Api, path: str, query: dict[str, str], parameter: str
) -> None:
    answer = api.ask("GET", path, params=query)
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)
    assert answer.headers["content-type"] == "application/problem+json"


# -------------------------------------------------------------------------- changing


def test_an_action_is_passed_on_and_its_answer_kept(api: Api) -> None:
    api.edges.add("s1")
    api.poll(NOW - HOUR)
    for action, status in (("pause", "PAUSED"), ("resume", "ACTIVE")):
        answer = api.ask("POST", f"schedules/s1/{action}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert api.get("schedules/s1")["status"] == status
    answer = api.ask("POST", "schedules/s1/update", json={"cron": "30 7 * * *", "note": {"a": 1}})
    assert answer.json()["cron"] == api.get("schedules/s1")["cron"] == "30 7 * * *"
    assert api.edges.asked[-1] == 'update s1 {"cron": "30 7 * * *", "note": {"a": 1}}'
    answer = api.ask("POST", "schedules/s1/delete")
    assert answer.json()["status"] == api.get("schedules/s1")["status"] == "DELETED"


def test_where_edges_says_nothing_it_is_asked(api: Api) -> None:
    api.edges.add("s1")
    api.edges.is_silent = True
    api.poll(NOW - HOUR)
    assert api.ask("POST", "schedules/s1/pause").json()["status"] == "PAUSED"
    assert api.edges.asked[-2:] == ["pause s1 null", "get s1"]


def test_a_schedule_that_is_not_known_yet_may_be_changed(api: Api) -> None:
    api.edges.add("s1")
    assert api.ask("POST", "schedules/s1/pause").json()["status"] == "PAUSED"


BAD_BODIES: list[tuple[str, dict[str, Any], int, str]] = [
    ("update", {}, 400, "what is to change"),
    ("update", {"json": {}}, 400, "what is to change"),
    ("update", {"json": []}, 400, "JSON object"),
    ("update", {"content": b"{"}, 400, "no JSON"),
    ("update", {"json": {"cron": "@daily"}}, 400, "five fields"),
    ("update", {"json": {"cron": 5}}, 400, "must be a text"),
    ("update", {"json": {"timezone": "Mars/Crater"}}, 400, "time zone"),
    ("update", {"json": {"schedule_at": "tomorrow"}}, 400, "must be a time"),
    ("update", {"content": b" " * (17 * 1024 * 1024)}, 413, "bytes"),
    ("pause", {"json": {"cron": "0 0 * * *"}}, 400, "takes no body"),
    ("explode", {}, 404, "update, pause, resume, delete"),
]


@pytest.mark.parametrize(("action", "options", "code", "said"), BAD_BODIES)
def test_a_change_that_makes_no_sense_is_not_passed_on(
    api: Api, action: str, options: dict[str, Any], code: int, said: str
) -> None:
    answer = api.ask("POST", f"schedules/s1/{action}", **options)
    assert answer.status_code == code
    assert said in answer.json()["detail"]
    assert api.edges.asked == []


FAILURES: list[tuple[EdgesApiError, int]] = [
    (EdgesRefusedError("refused", status=400, error=ERROR), 422),
    (KeyRefusedError("no key", status=401, error=ERROR), 409),
    (EdgesUnavailableError("down", retry_after_s=17.2), 503),
    (OutcomeUnknownError("cut"), 504),
    (AnswerShapeError("odd"), 502),
]


@pytest.mark.parametrize(("error", "code"), FAILURES)
def test_what_edges_says_instead_is_a_problem(api: Api, error: EdgesApiError, code: int) -> None:
    api.edges.add("s1")
    api.poll(NOW)
    api.edges.errors = [error]
    answer = api.ask("POST", "schedules/s1/pause")
    assert (answer.status_code, answer.json()["detail"]) == (code, str(error))
    assert answer.json().get("error") == (ERROR if isinstance(error, EdgesRefusedError) else None)
    assert answer.headers.get("retry-after") == ("17" if code == 503 else None)
    assert api.get("schedules/s1")["status"] == "ACTIVE"


def test_a_schedule_that_edges_does_not_know_is_gone(api: Api) -> None:
    api.edges.add("s1")
    api.poll(NOW - HOUR)
    del api.edges.records["s1"]
    assert api.ask("POST", "schedules/s1/pause").status_code == 404
    assert api.get("schedules/s1")["status"] == "DELETED"


def test_without_a_key_of_edges_nothing_is_changed_and_all_is_read(api: Api) -> None:
    api.edges.add("s1")
    api.poll(NOW)
    api.has_key = False
    answer = api.ask("POST", "schedules/s1/pause")
    assert answer.status_code == 409
    assert "COLLECTOR_EDGES_API_KEY" in answer.json()["detail"]
    assert api.get("schedules/s1")["status"] == "ACTIVE"


# ------------------------------------------------------------------- a real server


def test_a_server_has_the_routes(shared_collector: CollectorProcess) -> None:
    http = shared_collector.http
    assert shared_collector.get("schedules") == {"data": [], "next_cursor": None}
    assert http.get("/api/v1/schedules/none").status_code == 404
    assert http.post("/api/v1/schedules/none/pause").status_code == 409
    wrong = http.put("/api/v1/schedules/none/pause")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    for method, path in (("GET", "schedules"), ("POST", "schedules/none/pause")):
        answer = httpx2.request(
            method, f"{shared_collector.base_url}/api/v1/{path}", trust_env=False
        )
        assert answer.status_code == 401
