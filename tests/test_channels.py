"""Other ways than a signed webhook, through a real collector: mail, Slack, a local command."""

import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.notify.notifying import COMMAND_ID
from tests.collector_process import CollectorProcess
from tests.conftest import sqlite_only
from tests.edges_process import simulated_edges, wait_until
from tests.notify.smtp_server import Inbox, smtp_server
from tests.test_notifications import ENV, endpoint, finish
from tests.webhook_receiver import receiver

RECORDER = """
import json, os, sys
event = json.load(sys.stdin)
with open(sys.argv[1], "a") as file:
    known = {name: value for name, value in os.environ.items() if name.startswith("EDGES_")}
    secrets = [name for name in os.environ if name.startswith("COLLECTOR_")]
    file.write(json.dumps([event["type"], event["data"]["run_uid"], known, secrets]) + "\\n")
print("recorded")
"""


@contextmanager
def inbox() -> Iterator[Inbox]:
    """A mail server on a thread of its own."""
    made: list[Inbox] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with smtp_server() as opened:
            made.append(opened)
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made[0]
    finally:
        done.set()
        thread.join()


@sqlite_only
def test_mail_tells_what_happened(start_collector: Callable[..., CollectorProcess]) -> None:
    with inbox() as mail:
        env = {
            "COLLECTOR_SMTP_URL": f"smtp://127.0.0.1:{mail.port}",
            "COLLECTOR_SMTP_FROM": "collector@example.com",
        }
        collector = start_collector(ENV | env)
        body = {"url": "mailto:ops@example.com", "event_types": ["run.succeeded"]}
        assert collector.http.post("/api/v1/endpoints", json=body).status_code == 201
        finish(collector, "a-run")
        wait_until(lambda: mail.messages, "no mail came")
        (message,) = mail.messages
        assert (message["To"], message["From"]) == ("ops@example.com", "collector@example.com")
        assert "a-run" in message["Subject"]
        assert f"{collector.base_url}/api/v1/runs/a-run" in message.get_content()
    for url in ("mailto:ops", "mailto:a@b?cc=c@d", "mailto:a@b c@d", "mailto:"):
        refused = collector.http.post("/api/v1/endpoints", json=body | {"url": url})
        assert (refused.status_code, refused.json()["pointer"]) == (400, "#/url")


@sqlite_only
def test_without_a_mail_server_no_mail_is_promised(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    collector = start_collector(ENV)
    body = {"url": "mailto:ops@example.com", "event_types": ["run.succeeded"]}
    refused = collector.http.post("/api/v1/endpoints", json=body)
    assert refused.status_code == 400
    assert "COLLECTOR_SMTP_URL" in refused.json()["detail"]


@sqlite_only
def test_slack_gets_a_message_that_people_read(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    collector = start_collector(ENV)
    with receiver() as receiving:
        endpoint(collector, receiving, format="slack", event_types=["run.succeeded"])
        finish(collector, "a-run")
        wait_until(lambda: receiving.came, "nothing came")
        message = json.loads(receiving.came[0].body)
        assert "a-run" in message["text"]
        assert receiving.came[0].headers["content-type"] == "application/json"


def test_a_local_command_runs_once_for_each_completed_run(
    start_collector: Callable[..., CollectorProcess], tmp_path: Path
) -> None:
    script, out = tmp_path / "record.py", tmp_path / "recorded.jsonl"
    script.write_text(RECORDER, "utf-8")
    command = f"{sys.executable} {script} {out}"
    collector = start_collector(ENV | {"COLLECTOR_ON_COMPLETED_COMMAND": command})
    (shown,) = collector.pages("endpoints")
    assert (shown["id"], shown["url"]) == (COMMAND_ID, "command:local")
    path = f"/api/v1/endpoints/{COMMAND_ID}"
    assert collector.http.delete(path).status_code == 409
    assert collector.http.patch(path, json={"concurrency": 9}).status_code == 409
    sneaky = {"url": "command:local", "event_types": ["*"]}
    assert collector.http.post("/api/v1/endpoints", json=sneaky).status_code == 400
    # A completed run needs Edges; redelivering its events shows the same as one.
    assert collector.http.post(f"{path}/test").status_code == 202
    wait_until(lambda: collector.pages("deliveries", state="failed"), "it was not tried", 60)
    (delivery,) = collector.pages("deliveries")
    attempts = collector.get(f"deliveries/{delivery['id']}")["attempts"]
    assert {attempt["status"] for attempt in attempts} == {1}  # a test is of no run
    assert "KeyError: 'run_uid'" in attempts[0]["answer"]
    collector.stop()
    gone = start_collector(ENV)
    assert gone.pages("endpoints") == []


def test_a_run_that_lost_callbacks_is_told_of_from_start_to_proof(
    start_collector: Callable[..., CollectorProcess], tmp_path: Path
) -> None:
    script, out = tmp_path / "record.py", tmp_path / "recorded.jsonl"
    script.write_text(RECORDER, "utf-8")
    command = f"{sys.executable} {script} {out}"
    with simulated_edges(seed=3, failed_share=0.2, page_size=2) as edges, receiver() as receiving:
        collector = start_collector(
            ENV | dict(edges.env) | {"COLLECTOR_ON_COMPLETED_COMMAND": command}
        )
        endpoint(collector, receiving, ordered=True)
        run_uid = edges.launch(30, collector, drop_share=0.3, status_scope="run")
        wait_until(lambda: "run.completed" in receiving.types(), "the run is not proven", 60)
        types = receiving.types()
        failed = sum(one["status"] == "FAILED" for one in edges.truth(run_uid)["inputs"])
        assert types[0] == "run.started"
        assert Counter(types) == {
            "run.started": 1,
            "input.failed": failed,
            "callbacks.lost": 1,
            "run.partial_succeeded": 1,
            "run.completed": 1,
        }
        assert types[-1] == "run.completed"
        by_type = {one.event_type: one.event["data"] for one in receiving.came}
        assert by_type["run.partial_succeeded"]["completeness"] != "complete"
        assert by_type["run.completed"]["completeness"] == "complete"
        lost = by_type["callbacks.lost"]
        run = collector.get(f"runs/{run_uid}")
        assert lost["results"] > 0
        assert lost["cause"] == run["losses"]["causes"][0]["error"][: len(lost["cause"])]
        wait_until(out.exists, "the command did not run")
        (line,) = out.read_text("utf-8").splitlines()
        event_type, recorded, known, secrets = json.loads(line)
        assert (event_type, recorded) == ("edges.collector.run.completed", run_uid)
        assert known["EDGES_EVENT_TYPE"] == "run.completed"
        assert known["EDGES_RUN_UID"] == run_uid
        assert secrets == []
