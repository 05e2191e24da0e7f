"""From a callback to a webhook: real collectors, real receivers, both stores."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

from tests.callbacks import callback, encoded
from tests.collector_process import CollectorProcess
from tests.conftest import postgres_only
from tests.edges_process import wait_until
from tests.webhook_receiver import Answer, Delivered, Receiver, receiver

ENV = {
    "COLLECTOR_ALLOW_PRIVATE_ENDPOINTS": "true",
    "COLLECTOR_DELIVERY_PAUSES_S": "[0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]",
    "COLLECTOR_DELIVERY_TIMEOUT_S": "1",
    "COLLECTOR_SECRET_KEY": "the-same-for-all-replicas-of-the-tests",
}


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as taking:
        yield taking


@pytest.fixture
def collector(start_collector: Callable[..., CollectorProcess]) -> CollectorProcess:
    return start_collector(ENV)


def endpoint(collector: CollectorProcess, receiving: Receiver, path: str = "/", **more: Any) -> Any:
    body = {"url": receiving.url + path, "event_types": ["*"], **more}
    answer = collector.http.post("/api/v1/endpoints", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def finish(
    collector: CollectorProcess, run: str, *, rows: int = 1, status: str = "SUCCEEDED"
) -> None:
    """A run of some rows, the last one of which ends it."""
    for row in range(rows):
        body = callback(
            f"{run}-{row}",
            run=run,
            row=f"row-{row}",
            results=({"of": run, "row": row},),
            status=status if row == rows - 1 else "RUNNING",
        )
        assert collector.send(encoded(body)).status_code == 200


def came(receiving: Receiver, count: int, path: str = "/") -> list[Delivered]:
    wait_until(
        lambda: len(receiving.types(path)) >= count,
        f"{path} got {len(receiving.types(path))} of {count}",
    )
    return [one for one in receiving.came if one.path == path]


def state_of(collector: CollectorProcess, delivery_id: str) -> Any:
    return collector.get(f"deliveries/{delivery_id}")


def test_what_is_sent_is_verified_by_the_stock_libraries(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    made = endpoint(collector, receiving, ordered=True, headers={"X-Key": "of the receiver"})
    finish(collector, "a-run")
    for one, due in zip(came(receiving, 2), ("run.started", "run.succeeded"), strict=True):
        Webhook(made["secret"]).verify(one.body, one.headers)
        event = from_http_event(HTTPMessage(one.headers, one.body))
        assert event.get_type() == f"edges.collector.{due}"
        assert event.get_subject() == "a-run"
        assert event.get_id() == one.headers["webhook-id"]
        assert one.headers["content-type"] == "application/cloudevents+json"
        assert one.headers["x-key"] == "of the receiver"
    data = receiving.came[1].event["data"]
    assert (data["run_uid"], data["status"]) == ("a-run", "SUCCEEDED")
    assert data["counts"]["results"] == 1
    told = collector.pages("events")
    assert [one["id"] for one in told] == [one.event["id"] for one in receiving.came]
    assert told[1] == receiving.came[1].event | {"data": told[1]["data"]}
    wait_until(
        lambda: all(one["state"] == "delivered" for one in collector.pages("deliveries")),
        "not recorded",
    )
    (latest, _) = collector.pages(f"endpoints/{made['id']}/deliveries")
    (attempt,) = state_of(collector, latest["id"])["attempts"]
    assert (attempt["status"], attempt["answer"], attempt["problem"]) == (200, "thanks", None)


def test_endpoints_get_what_they_asked_for(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    endpoint(collector, receiving, "/ends", event_types=["run.succeeded", "input.failed"])
    endpoint(collector, receiving, "/mine", filters={"custom_data.row_id": "row-0"})
    endpoint(collector, receiving, "/other", filters={"custom_data.row_id": "row-9"})
    endpoint(collector, receiving, "/action", filters={"action_name": "another"})
    paused = endpoint(collector, receiving, "/paused", event_types=["run.succeeded"])
    path = f"/api/v1/endpoints/{paused['id']}"
    assert collector.http.patch(path, json={"state": "paused"}).json()["state"] == "paused"
    finish(collector, "a-run")
    body = callback("f", run="failing", row="row-9", status="FAILED", error={"label": "NO_RESULT"})
    assert collector.send(encoded(body)).status_code == 200
    for due, to in ((3, "/other"), (2, "/ends"), (2, "/mine")):
        came(receiving, due, to)
    assert set(receiving.types("/other")) == {"run.started", "input.failed", "run.failed"}
    assert set(receiving.types("/ends")) == {"run.succeeded", "input.failed"}
    assert set(receiving.types("/mine")) == {"run.started", "run.succeeded"}
    assert receiving.types("/action") == receiving.types("/paused") == []
    assert collector.get(path.removeprefix("/api/v1/"))["deliveries_pending"] == 1
    collector.http.patch(path, json={"state": "active"})
    came(receiving, 1, "/paused")


def test_payloads_bring_results_or_a_link_to_them(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    for payload in ("run", "results-link", "results-inline"):
        endpoint(
            collector, receiving, f"/{payload}", payload=payload, event_types=["run.succeeded"]
        )
    finish(collector, "a run/with odd uid")
    finish(collector, "a-run", rows=3)

    def of_run(path: str) -> Delivered:
        (one,) = [one for one in came(receiving, 2, path) if one.event["subject"] == "a-run"]
        return one

    plain = of_run("/run")
    assert not {"results", "results_url"} & plain.event["data"].keys()
    inline = of_run("/results-inline")
    rows = [one["data"]["row"] for one in inline.event["data"]["results"]]
    assert sorted(rows) == [0, 1, 2]
    link = of_run("/results-link").event["data"]["results_url"]
    answer = httpx2.get(link, trust_env=False)
    assert [json.loads(line)["data"]["row"] for line in answer.text.splitlines()] == rows
    # It opens nothing else, and not for ever.
    for other in (
        link.replace("a-run", "another-run"),
        link.replace("/results", "/inputs"),
        link.replace("expires=", "expires=9"),
        link[:-3],
        f"{link}&join=inputs",
        f"{link}&after=start",
    ):
        assert httpx2.get(other, trust_env=False).status_code in (401, 403)


def test_a_delivery_is_tried_until_it_succeeds_and_then_never_again(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    answers = iter([Answer(500, body=b"x" * 5000), Answer(302, {"Location": "/x"}), Answer(200)])
    receiving.behave = lambda _: next(answers, Answer(200))
    made = endpoint(collector, receiving, event_types=["run.succeeded"])
    finish(collector, "a-run")
    assert len({one.headers["webhook-id"] for one in came(receiving, 3)}) == 1
    wait_until(lambda: collector.pages("deliveries", state="delivered") != [], "it is not recorded")
    (delivery,) = collector.pages(f"endpoints/{made['id']}/deliveries")
    attempts = state_of(collector, delivery["id"])["attempts"]
    assert [one["status"] for one in attempts] == [500, 302, 200]
    assert attempts[0]["answer"] == "x" * 1024
    assert "not followed" in attempts[1]["problem"]
    time.sleep(0.3)
    assert len(receiving.came) == 3
    # By hand it is sent again, under its id.
    again = collector.http.post(f"/api/v1/deliveries/{delivery['id']}/redeliver")
    assert again.status_code == 202
    assert len({one.headers["webhook-id"] for one in came(receiving, 4)}) == 1


def test_an_event_is_found_with_its_deliveries_and_the_body_of_each(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    for path in ("/one", "/two"):
        endpoint(collector, receiving, path, payload="results-inline")
    chat = endpoint(collector, receiving, "/chat", format="slack", event_types=["run.started"])
    finish(collector, "a-run")
    finish(collector, "another")
    (sent, _, _, _) = came(receiving, 4, "/one")
    told = collector.pages("events")
    assert collector.pages("events", newest_first="true", limit=1) == told[::-1]
    after = {"newest_first": "true", "after": told[0]["id"], "limit": 2}
    assert collector.pages("events", **after) == told[:0:-1]
    of_event = collector.pages("deliveries", event_id=sent.event["id"])
    assert {one["event_id"] for one in of_event} == {sent.event["id"]}
    assert len(of_event) == 2 + (sent.event_type == "run.started")
    bodies = [collector.http.get(f"/api/v1/deliveries/{one['id']}/body") for one in of_event]
    assert sum(answer.content == sent.body for answer in bodies) == 2
    (chatted, _) = collector.pages(f"endpoints/{chat['id']}/deliveries")
    message = collector.get(f"deliveries/{chatted['id']}/body")
    assert set(message) == {"text", "blocks"}
    assert collector.http.get("/api/v1/deliveries?event_id=evt_none").status_code == 404


def test_a_header_that_is_given_as_it_is_shown_keeps_its_value(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    made = endpoint(collector, receiving, headers={"X-Key": "secret", "X-Old": "gone"})
    path = f"/api/v1/endpoints/{made['id']}"
    shown = collector.get(f"endpoints/{made['id']}")["headers"]
    kept = {"X-Key": shown["X-Key"], "X-New": "value"}
    assert set(collector.http.patch(path, json={"headers": kept}).json()["headers"]) == set(kept)
    unknown = collector.http.patch(path, json={"headers": {"X-Other": shown["X-Key"]}})
    assert (unknown.status_code, unknown.json()["pointer"]) == (400, "#/headers")
    assert collector.http.post(f"{path}/test").status_code == 202
    (one,) = came(receiving, 1)
    assert (one.headers["x-key"], one.headers["x-new"]) == ("secret", "value")
    assert "x-old" not in one.headers


def test_dead_letters_are_listed_and_redelivered(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    receiving.behave = lambda _: Answer(503)
    made = endpoint(collector, receiving, event_types=["run.succeeded"])
    for run in ("one", "two"):
        finish(collector, run)
    came(receiving, 18)
    path = f"endpoints/{made['id']}/deliveries"
    wait_until(lambda: len(collector.pages(path, state="failed")) == 2, "they are not given up")
    assert collector.get(f"endpoints/{made['id']}")["failing_since"] is not None
    checks = collector.http.get("/readyz").json()["checks"]
    assert checks["endpoints"]["detail"].startswith("1, 1 failing, 0 disabled")
    receiving.behave = lambda _: Answer(200)
    redeliver = f"/api/v1/endpoints/{made['id']}/redeliver"
    answer = collector.http.post(redeliver, json={"failed_since": "2020-01-01T00:00:00Z"})
    assert answer.json() == {"deliveries": 2}
    wait_until(lambda: len(collector.pages(path, state="delivered")) == 2, "they are not sent")
    assert collector.get(f"endpoints/{made['id']}")["failing_since"] is None
    assert collector.http.post(redeliver, json={"run_uid": "one"}).json() == {"deliveries": 1}
    came(receiving, 21)
    assert collector.http.post(redeliver, json={}).status_code == 400


def test_retry_after_is_obeyed_and_410_disables(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    receiving.behave = lambda one: (
        Answer(410)
        if one.path == "/gone"
        else Answer(429, {"Retry-After": "1"})
        if len(receiving.types("/busy")) == 1
        else Answer(200)
    )
    endpoint(collector, receiving, "/busy", event_types=["run.succeeded"])
    gone = endpoint(collector, receiving, "/gone", event_types=["run.succeeded"])
    endpoint(collector, receiving, "/told", event_types=["endpoint.disabled"])
    finish(collector, "a-run")
    (first, second) = came(receiving, 2, "/busy")
    assert second.at - first.at >= 1
    told, *again = came(receiving, 1, "/told")
    assert {one.event["id"] for one in again} <= {told.event["id"]}  # it may come twice
    assert told.event["subject"] == gone["id"]
    assert "410" in told.event["data"]["reason"]
    assert "/gone" not in json.dumps(told.event["data"])  # a path may be a secret, as Slack's is
    shown = collector.get(f"endpoints/{gone['id']}")
    assert (shown["state"], "410" in shown["disabled_reason"]) == ("disabled", True)
    # What happens meanwhile is not lost: it can be redelivered later.
    finish(collector, "another")
    wait_until(
        lambda: len(collector.pages(f"endpoints/{gone['id']}/deliveries", state="failed")) == 2,
        "the second one is not kept",
    )
    assert len(receiving.types("/gone")) == 1


def test_an_endpoint_that_fails_for_too_long_is_disabled(
    start_collector: Callable[..., CollectorProcess], receiving: Receiver
) -> None:
    collector = start_collector(ENV | {"COLLECTOR_DISABLE_ENDPOINT_AFTER_S": "0.1"})
    receiving.behave = lambda _: Answer(500)
    made = endpoint(collector, receiving)
    finish(collector, "a-run")
    wait_until(
        lambda: collector.get(f"endpoints/{made['id']}")["state"] == "disabled", "still active"
    )
    assert "HTTP 500" in collector.get(f"endpoints/{made['id']}")["disabled_reason"]


def test_what_is_under_way_is_not_sent_again_when_an_endpoint_is_paused_for_a_moment(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    receiving.behave = lambda _: Answer(200, delay_s=0.8)
    made = endpoint(collector, receiving, ordered=True, event_types=["run.succeeded"])
    path = f"/api/v1/endpoints/{made['id']}"
    finish(collector, "a-run")
    came(receiving, 1)
    for state in ("paused", "active"):
        assert collector.http.patch(path, json={"state": state}).status_code == 200
        time.sleep(0.1)
    finish(collector, "another")
    assert {one.event["subject"] for one in came(receiving, 2)} == {"a-run", "another"}
    assert receiving.most_under_way == 1


def test_a_change_of_the_rate_counts_at_once(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    made = endpoint(collector, receiving, rate_per_s=0.01)
    finish(collector, "a-run")
    came(receiving, 1)
    collector.http.patch(f"/api/v1/endpoints/{made['id']}", json={"rate_per_s": None})
    came(receiving, 2)


def test_a_local_command_that_was_given_up_has_another_chance_at_the_next_start(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    env = ENV | {
        "COLLECTOR_ON_COMPLETED_COMMAND": "false",
        "COLLECTOR_DISABLE_ENDPOINT_AFTER_S": "0.1",
    }
    collector = start_collector(env)
    path = "endpoints/on-completed-command"
    assert collector.http.post(f"/api/v1/{path}/test").status_code == 202
    wait_until(lambda: collector.get(path)["state"] == "disabled", "still active")
    assert collector.http.patch(f"/api/v1/{path}", json={"state": "active"}).status_code == 409
    collector.stop()
    again = start_collector(env | {"COLLECTOR_ON_COMPLETED_COMMAND": "true"})
    shown = again.get(path)
    assert (shown["state"], shown["disabled_reason"]) == ("active", None)
    sent = again.http.post(f"/api/v1/{path}/test").json()
    wait_until(
        lambda: state_of(again, sent["delivery_id"])["state"] == "delivered", "it does not run"
    )


def test_order_within_a_run_is_kept_where_it_is_asked_for(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    seen: Counter[str] = Counter()

    def behave(one: Delivered) -> Answer:
        """Each first try fails."""
        seen[one.headers["webhook-id"]] += 1
        return Answer(500 if seen[one.headers["webhook-id"]] == 1 else 200, delay_s=0.02)

    receiving.behave = behave
    endpoint(collector, receiving, ordered=True)
    for run in range(4):
        finish(collector, f"run-{run}")
    came(receiving, 16)
    for run in range(4):
        of_run = [one for one in receiving.came if one.event["subject"] == f"run-{run}"]
        types = [one.event_type for one in of_run]
        assert types == ["run.started"] * 2 + ["run.succeeded"] * 2


def test_secrets_rotate_and_both_sign_meanwhile(
    collector: CollectorProcess, receiving: Receiver
) -> None:
    made = endpoint(collector, receiving)
    path = f"/api/v1/endpoints/{made['id']}"
    rotated = collector.http.post(f"{path}/rotate-secret").json()
    assert collector.http.post(f"{path}/test").status_code == 202
    (one,) = came(receiving, 1)
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(one.body, one.headers)
    assert one.event_type == "endpoint.test"
    shown = json.dumps(collector.get("endpoints"))
    assert made["secret"] not in shown
    assert rotated["secret"] not in shown
    answer = collector.http.post(f"{path}/rotate-secret", json={"signing": "v1a"}).json()
    assert (answer["secret"], answer["public_key"][:5]) == (None, "whpk_")
    # After a restart it is the same, and no secret is in the database as it is.
    database = b"".join(p.read_bytes() for p in collector.data_dir.rglob("*.db*") if p.is_file())
    assert rotated["secret"].removeprefix("whsec_").encode() not in database


def test_what_was_sealed_with_an_earlier_key_is_sealed_anew(
    start_collector: Callable[..., CollectorProcess], receiving: Receiver
) -> None:
    first = start_collector(ENV)
    made, other = endpoint(first, receiving), endpoint(first, receiving, "/other")
    first.stop()
    lost = start_collector(ENV | {"COLLECTOR_SECRET_KEY": "another-key-of-the-tests"})
    answer = lost.http.get(f"/api/v1/endpoints/{made['id']}")
    assert answer.status_code == 409
    assert "COLLECTOR_PREVIOUS_SECRET_KEYS" in answer.json()["detail"]
    # It can be seen among the others, paused, and given a secret that can be read.
    assert len(lost.pages("endpoints")) == 2
    path = f"/api/v1/endpoints/{other['id']}"
    assert lost.http.patch(path, json={"state": "paused"}).json()["state"] == "paused"
    rotated = lost.http.post(f"{path}/rotate-secret").json()
    assert rotated["secret"].startswith("whsec_")
    assert rotated["previous_secret_signs_until"] is None
    assert lost.http.get(path).json()["state"] == "paused"
    lost.stop()
    keys = {
        "COLLECTOR_SECRET_KEY": "another-key-of-the-tests",
        "COLLECTOR_PREVIOUS_SECRET_KEYS": json.dumps([ENV["COLLECTOR_SECRET_KEY"]]),
    }
    start_collector(ENV | keys).stop()
    del keys["COLLECTOR_PREVIOUS_SECRET_KEYS"]
    last = start_collector(ENV | keys)
    assert last.http.post(f"/api/v1/endpoints/{made['id']}/test").status_code == 202
    (one,) = came(receiving, 1)
    Webhook(made["secret"]).verify(one.body, one.headers)


def test_private_addresses_are_refused_by_default(
    start_collector: Callable[..., CollectorProcess], receiving: Receiver
) -> None:
    collector = start_collector()
    body = {"url": receiving.url, "event_types": ["*"]}
    answer = collector.http.post("/api/v1/endpoints", json=body)
    assert (answer.status_code, answer.json()["pointer"]) == (400, "#/url")
    body["url"] = receiving.url.replace("http://", "https://")
    made = collector.http.post("/api/v1/endpoints", json=body).json()
    sent = collector.http.post(f"/api/v1/endpoints/{made['id']}/test").json()
    wait_until(
        lambda: state_of(collector, sent["delivery_id"])["attempts"] != [], "it is not tried"
    )
    (attempt,) = state_of(collector, sent["delivery_id"])["attempts"]
    assert "COLLECTOR_ALLOW_PRIVATE_ENDPOINTS" in attempt["problem"]
    assert not receiving.came


@pytest.mark.parametrize(
    "point",
    [
        "relay before commit",
        "relay after commit",
        "delivery sent",
        "deliveries before commit",
        "deliveries after commit",
    ],
)
def test_killed_anywhere_each_event_arrives_at_least_once_under_one_id(
    start_collector: Callable[..., CollectorProcess], receiving: Receiver, point: str
) -> None:
    first = start_collector(ENV | {"COLLECTOR_CRASH_AT": f"{point}:3"})
    endpoint(first, receiving, ordered=True)
    for run in range(6):
        try:
            finish(first, f"run-{run}")
        except httpx2.HTTPError:
            break
        is_told = lambda: receiving.came or first.process.poll() is not None  # noqa: E731
        wait_until(is_told, "nothing is told")
        time.sleep(0.15)
    assert first.process.wait(timeout=60) == -9
    second = start_collector(ENV)
    for run in range(6):
        finish(second, f"run-{run}")
    wait_until(
        lambda: len({one.headers["webhook-id"] for one in receiving.came}) == 12,
        "some do not arrive",
    )
    told = second.pages("events")
    assert len({one["id"] for one in told}) == len(told) == 12
    assert {one["id"] for one in told} == {one.headers["webhook-id"] for one in receiving.came}
    for run in range(6):
        types = [one.event_type for one in receiving.came if one.event["subject"] == f"run-{run}"]
        assert sorted(types, key=["run.started", "run.succeeded"].index) == types


@postgres_only
def test_two_replicas_never_deliver_the_same_at_once(
    start_collector: Callable[..., CollectorProcess], receiving: Receiver
) -> None:
    replicas = [start_collector(ENV) for _ in range(2)]
    receiving.behave = lambda one: Answer(
        500 if len(receiving.came) % 3 == 0 else 200, delay_s=0.02
    )
    endpoint(replicas[0], receiving, event_types=["run.started"], concurrency=8)

    def load(number: int) -> None:
        for run in range(20):
            finish(replicas[number], f"run-{number}-{run}")

    threads = [threading.Thread(target=load, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(
        lambda: len(replicas[1].pages("deliveries", state="delivered")) == 40, "some are missing"
    )
    by_id: dict[str, list[float]] = {}
    for one in receiving.came:
        by_id.setdefault(one.headers["webhook-id"], []).append(one.at)
    assert len(by_id) == 40
    for times in by_id.values():
        assert all(later - earlier > 0.02 for earlier, later in pairwise(times))
    # One goes away without a word: the other takes over.
    replicas[0].kill()
    finish(replicas[1], "after")
    wait_until(lambda: len(receiving.came) > sum(map(len, by_id.values())), "none", timeout_s=90)


# ------------------------------------------------------------------- live streams


class Following:
    """A client of the live stream, on a thread of its own."""

    def __init__(
        self, collector: CollectorProcess, last_id: str | None = None, query: str = ""
    ) -> None:
        self.ids: list[str] = []
        self.events: list[dict[str, str]] = []
        self.has_ended = False
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        self._request = (f"/api/v1/events{query}", headers)
        self._http = httpx2.Client(
            base_url=collector.base_url, headers=collector.http.headers, trust_env=False, timeout=60
        )
        self.is_open = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()
        assert self.is_open.wait(60)

    def _follow(self) -> None:
        with self._http, contextlib.suppress(httpx2.HTTPError):  # cut off with its collector
            self._read()
            self.has_ended = True

    def _read(self) -> None:
        path, headers = self._request
        with self._http.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200
            block: dict[str, str] = {}
            for line in answer.iter_lines():
                self.is_open.set()
                name, _, value = line.partition(": ")
                if line:
                    block[name] = value
                    continue
                if "data" in block:
                    self.events.append(block)
                    if "id" in block:
                        self.ids.append(block["id"])
                block = {}


def test_events_are_followed_live_and_a_stream_is_resumed_without_a_gap(
    collector: CollectorProcess,
) -> None:
    finish(collector, "before")
    wait_until(lambda: len(collector.pages("events")) == 2, "not told")
    live, ends = Following(collector), Following(collector, query="?types=run.succeeded")
    third = Following(collector, query="?run_uid=run-3")
    for run in range(5):
        finish(collector, f"run-{run}")
    wait_until(lambda: len(live.ids) == 10, "the stream lacks some")
    wait_until(lambda: len(ends.ids) == 5, "the stream lacks some")
    told = collector.pages("events")
    assert live.ids == [one["id"] for one in told[2:]]
    assert third.ids == [one["id"] for one in told[2:] if one["subject"] == "run-3"]
    assert [one["event"] for one in ends.events] == ["run.succeeded"] * 5
    assert json.loads(live.events[0]["data"]) == told[2]
    resumed = Following(collector, last_id=told[3]["id"])
    wait_until(lambda: len(resumed.ids) == 8, "what was missed does not come")
    assert resumed.ids == [one["id"] for one in told[4:]]
    pruned = Following(collector, last_id="evt_of-long-ago")  # all that is kept may be new to it
    wait_until(lambda: len(pruned.ids) == 12, "what is kept does not come")
    page = collector.get("events", after=told[8]["id"], types="run.succeeded")
    assert [one["id"] for one in page["data"]] == [told[9]["id"], told[11]["id"]]
    assert collector.http.get("/api/v1/events?after=none").status_code == 400
    assert collector.get(f"events/{told[3]['id']}") == told[3]
    # It ends cleanly with the service.
    began = time.monotonic()
    assert collector.stop() == 0
    assert time.monotonic() - began < 15  # far less than it waits for streams that do not end
    live.thread.join(60)
    assert live.has_ended


def test_progress_is_told_live_and_at_most_twice_a_second(collector: CollectorProcess) -> None:
    began = time.monotonic()
    live = Following(collector, query="?types=run.progress")
    row = 0
    while row < 60 or time.monotonic() < began + 2:
        body = callback(f"c-{row}", run="a-run", row=f"row-{row}", results=({"row": row},))
        assert collector.send(encoded(body)).status_code == 200
        row += 1
        time.sleep(0.02)  # each is projected for itself, if the machine is quick enough
    wait_until(
        lambda: (
            bool(live.events) and json.loads(live.events[-1]["data"])["counts"]["results"] == row
        ),
        "the last state is not told",
    )
    assert 1 <= len(live.events) <= 2 * (time.monotonic() - began) + 2
    assert not live.ids


@postgres_only
def test_a_stream_of_one_replica_tells_of_the_others(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    one, other = start_collector(ENV), start_collector(ENV)
    live = [Following(one), Following(other)]
    for run in range(5):
        finish(other if run % 2 else one, f"run-{run}")
    wait_until(lambda: all(len(stream.ids) == 10 for stream in live), "some are missing")
    assert live[0].ids == live[1].ids == [event["id"] for event in one.pages("events")]
