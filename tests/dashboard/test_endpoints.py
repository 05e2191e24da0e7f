"""Endpoints in a browser: made, tried, mended, and let go."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from playwright.sync_api import Page, expect
from standardwebhooks import Webhook

from tests.callbacks import callback, encoded, new_run
from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit
from tests.dashboard.hostile import HOSTILE, check_harmless
from tests.databases import fresh_database
from tests.edges_process import wait_until
from tests.webhook_receiver import Answer, Delivered, Receiver, receiver

ENV = {
    "COLLECTOR_ALLOW_PRIVATE_ENDPOINTS": "true",
    "COLLECTOR_DELIVERY_PAUSES_S": "[0.05]",
}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """One that gives a delivery up after two tries."""
    with fresh_database("sqlite", tmp_path_factory.mktemp("endpoints") / "data") as env:
        process = CollectorProcess({**env, **ENV}).wait_until_ready()
        yield process
        process.kill()


@pytest.fixture
def receiving(collector: CollectorProcess) -> Iterator[Receiver]:
    """A receiver, whose endpoints go with it."""
    with receiver() as taking:
        yield taking
        for one in collector.pages("endpoints"):
            collector.http.delete(f"/api/v1/endpoints/{one['id']}")


def made(collector: CollectorProcess, receiving: Receiver, path: str = "/", **more: Any) -> Any:
    body = {"url": receiving.url + path, "event_types": ["run.succeeded"], **more}
    answer = collector.http.post("/api/v1/endpoints", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def finish(collector: CollectorProcess, run: str) -> None:
    body = callback(f"{run}-1", run=run, status="SUCCEEDED")
    assert collector.send(encoded(body)).status_code == 200


def rows(page: Page, state: str) -> Any:
    return page.locator("table.deliveries tbody tr").filter(has_text=state)


def test_an_endpoint_is_made_its_secret_is_shown_once_and_a_test_is_seen_to_arrive(
    visit: Visit, receiving: Receiver
) -> None:
    page = visit.page
    page.goto("/endpoints")
    expect(page.get_by_text("What a webhook gets")).to_be_visible()
    visit.check_accessibility()
    page.get_by_role("link", name="Make the first endpoint").click()
    expect(page.get_by_label("run.completed")).to_be_checked()
    page.get_by_label("URL").fill(receiving.url + "/hooks")
    page.get_by_label("Description").fill("CRM of the sales team")
    page.get_by_label("run.succeeded").check()
    page.get_by_label("Path in custom_data, row 1").fill("list")
    page.get_by_label("Value of custom_data, row 1").fill("leads")
    page.get_by_label("Name of header 1").fill("X-Key")
    page.get_by_label("Value of header 1").fill("of the receiver")
    page.get_by_label("results-link").check()
    page.get_by_role("button", name="Make the endpoint").click()
    expect(page.locator("#secret")).to_contain_text("whsec_")
    visit.check_accessibility()
    secret = page.locator("#secret").inner_text()
    snippet = page.locator("#python").inner_text()
    assert secret not in page.url
    assert not any(secret in str(cookie) for cookie in visit.context.cookies())
    expect(page).to_have_url(re.compile("/endpoints/ep_"))
    page.reload()
    expect(page.get_by_role("heading", name="CRM of the sales team")).to_be_visible()
    assert secret not in page.content()

    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The test arrived.")).to_be_visible()
    expect(page.locator("#tested pre")).to_have_text("thanks")
    expect(rows(page, "delivered")).to_have_count(1)
    visit.check_accessibility()
    (one,) = receiving.came
    assert one.headers["x-key"] == "of the receiver"
    namespace: dict[str, Any] = {}
    with mock.patch.dict(os.environ, {"WEBHOOK_SECRET": secret}):
        exec(snippet, namespace)
    assert namespace["event_of"](one.body, one.headers) == one.event


def test_a_problem_stands_beside_its_field_and_what_was_typed_stays(visit: Visit) -> None:
    visit.expected = ("422",)
    page = visit.page
    page.goto("/endpoints/new")

    def refused(field: str, said: str) -> None:
        page.get_by_role("button", name="Make the endpoint").click()
        problem = page.locator(f"#problem-{field}")
        expect(problem).to_contain_text(said)
        expect(page.locator(".problem")).to_have_count(1)

    page.get_by_label("Description").fill("kept")
    refused("url", "say where")
    page.get_by_label("URL").fill("ftp://example.com/")
    refused("url", "must begin with https://")
    described = page.get_by_label("URL").get_attribute("aria-describedby") or ""
    assert "problem-url" in described.split()
    page.get_by_label("URL").fill("https://example.com/")
    page.get_by_label("Deliveries a second, at most").fill("-1")
    refused("rate_per_s", "greater than 0")
    page.get_by_label("Deliveries a second, at most").fill("2.5")
    page.get_by_label("Name of header 1").fill("Webhook-Id")
    page.get_by_label("Value of header 1").fill("mine")
    refused("headers", "set by the collector")
    page.get_by_label("Name of header 1").fill("X-Mine")
    page.get_by_label("Value of custom_data, row 2").fill("orphan")
    refused("filters", "has no path")
    visit.check_accessibility()
    page.get_by_role("button", name="More rows").first.click()
    expect(page.get_by_label("Path in custom_data, row 2")).to_be_focused()
    page.get_by_label("Path in custom_data, row 1").fill("team")
    for chosen in ("run.completed", "run.incomplete", "run.failed"):
        page.get_by_label(chosen).uncheck()
    refused("event_types", "choose at least one")
    assert page.get_by_label("Description").input_value() == "kept"
    assert page.get_by_label("Value of header 1").input_value() == "mine"
    assert page.get_by_label("Value of custom_data, row 1").input_value() == "orphan"
    page.get_by_label("Mailbox").check()
    expect(page.get_by_label("URL")).to_be_hidden()
    page.get_by_label("Mail address").fill("ops@example.com")
    page.get_by_label("Every event").check()
    expect(page.get_by_label("run.started")).to_be_hidden()
    refused("url", "COLLECTOR_SMTP_URL")


def test_a_failed_webhook_is_redelivered_until_it_arrives(
    visit: Visit, collector: CollectorProcess, receiving: Receiver
) -> None:
    page = visit.page
    receiving.behave = lambda _: Answer(503, body=b"the database is down")
    one = made(collector, receiving)
    page.goto(f"/endpoints/{one['id']}")
    expect(page.get_by_text("Nothing was sent here yet")).to_be_visible()
    runs = [new_run() for _ in range(3)]
    for run in runs:
        finish(collector, run)
    expect(rows(page, "failed")).to_have_count(3)
    expect(page.locator("#standing")).to_contain_text("failed. It goes on trying")
    first = page.locator("table.deliveries tbody tr").filter(has_text=runs[0])
    first.get_by_role("button", name="Redeliver").click()
    wait_until(lambda: len(receiving.came) == 8, "it is not tried again")
    first.get_by_role("link", name="run.succeeded").click()
    expect(page.locator("table.tries tbody tr")).to_have_count(4)
    expect(page.locator("table.tries pre").first).to_have_text("the database is down")
    expect(page.locator("pre.body")).to_contain_text(f'"run_uid": "{runs[0]}"')
    visit.check_accessibility()
    receiving.behave = lambda _: Answer(200)
    page.get_by_role("button", name="Redeliver").click()
    expect(page.locator("#delivery .chip").first).to_have_text("delivered")
    expect(page.locator("table.tries tbody tr")).to_have_count(5)

    page.get_by_role("link", name="127.0.0.1").first.click()
    page.get_by_label("State of deliveries").select_option("failed")
    expect(page.locator("table.deliveries tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile("state=failed"))
    page.get_by_role("button", name="Redeliver what failed").click()
    page.get_by_role("button", name="Redeliver them").click()
    expect(page.get_by_text("2 deliveries that failed are on their way again")).to_be_visible()
    expect(rows(page, "delivered")).to_have_count(3)
    assert {one.event["subject"] for one in receiving.came[-3:]} == set(runs)


def test_one_that_is_disabled_stands_out_and_is_made_active_again(
    visit: Visit, collector: CollectorProcess, receiving: Receiver
) -> None:
    page = visit.page
    receiving.behave = lambda one: Answer(410 if one.path == "/gone" else 200)
    made(collector, receiving, "/fine", description="Fine")
    gone = made(collector, receiving, "/gone", description="Gone away")
    page.goto("/endpoints")
    expect(page.locator("table.endpoints tbody tr")).to_have_count(2)
    finish(collector, new_run())
    notice = page.get_by_label("Disabled: Gone away")
    expect(notice).to_contain_text("answered 410")
    expect(page.locator("table.endpoints tbody tr")).to_have_count(1)
    visit.check_accessibility()
    notice.get_by_role("button", name="Make active again").click()
    expect(page.get_by_role("heading", name="Gone away")).to_be_visible()
    assert collector.get(f"endpoints/{gone['id']}")["state"] == "active"
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("It is paused")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("stay as they are")
    page.get_by_role("button", name="Leave it as it is").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the endpoint").click()
    expect(page.locator("table.endpoints tbody tr")).to_have_count(1)
    assert gone["id"] not in [one["id"] for one in collector.pages("endpoints")]


def test_a_secret_is_rotated_and_a_change_keeps_what_is_not_shown(
    visit: Visit, collector: CollectorProcess, receiving: Receiver
) -> None:
    page = visit.page
    one = made(collector, receiving, headers={"X-Key": "not shown"}, rate_per_s=50)
    page.goto(f"/endpoints/{one['id']}/edit")
    assert "not shown" not in page.content()
    assert page.get_by_label("Deliveries a second, at most").input_value() == "50"
    page.get_by_label("Description").fill("Changed")
    page.get_by_label("Name of header 2").fill("X-More")
    page.get_by_label("Value of header 2").fill("added")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Changed")).to_be_visible()
    page.get_by_role("button", name="New secret").click()
    expect(page.get_by_role("dialog")).to_contain_text("24 hours")
    page.get_by_role("button", name="Give it a new secret").click()
    secret = page.locator("#secret").inner_text()
    expect(page.get_by_text("signed with the old secret, too")).to_be_visible()
    page.reload()
    assert secret not in page.content()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The test arrived.")).to_be_visible()
    (sent,) = receiving.came
    for signer in (one["secret"], secret):
        Webhook(signer).verify(sent.body, sent.headers)
    assert (sent.headers["x-key"], sent.headers["x-more"]) == ("not shown", "added")

    # A key pair: what is shown is no secret, and the snippet for it verifies.
    page.get_by_role("button", name="New secret").click()
    page.get_by_label("Signed by").select_option("v1a")
    page.get_by_role("button", name="Give it a new secret").click()
    public, snippet = page.locator("#secret").inner_text(), page.locator("#python").inner_text()
    page.get_by_role("link", name="To the endpoint").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The test arrived.")).to_be_visible()
    namespace: dict[str, Any] = {}
    with mock.patch.dict(os.environ, {"WEBHOOK_PUBLIC_KEY": public}):
        exec(snippet, namespace)
    latest = receiving.came[-1]
    assert namespace["event_of"](latest.body, latest.headers) == latest.event
    with pytest.raises(ValueError, match="not from your collector"):
        namespace["event_of"](latest.body + b" ", latest.headers)


def test_one_whose_secrets_cannot_be_read_is_given_a_new_one(
    visit: Visit, collector: CollectorProcess, receiving: Receiver
) -> None:
    """As after COLLECTOR_SECRET_KEY was lost."""
    visit.expected = ("409",)
    page = visit.page
    one = made(collector, receiving)
    outbox = Path(collector.env["COLLECTOR_DATA_DIR"]) / "collector-outbox.db"
    with closing(sqlite3.connect(outbox)) as database, database:
        database.execute("UPDATE endpoints SET secrets = 'unreadable', version = version + 1")
    page.goto(f"/endpoints/{one['id']}")
    expect(page.get_by_role("alert")).to_contain_text("rotate the endpoint's secret")
    page.get_by_role("button", name="New secret").click()
    page.get_by_role("button", name="Give it a new secret").click()
    expect(page.locator("#secret")).to_contain_text("whsec_")
    page.get_by_role("link", name="To the endpoint").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The test arrived.")).to_be_visible()


def test_what_others_wrote_is_only_text(
    visit: Visit, collector: CollectorProcess, receiving: Receiver
) -> None:
    def behave(_: Delivered) -> Answer:
        return Answer(500, body=f"{HOSTILE}{'x' * 5_000}".encode())

    receiving.behave = behave
    one = made(
        collector,
        receiving,
        description=HOSTILE,
        filters={f"custom_data.{HOSTILE}": HOSTILE},
        event_types=["input.failed"],
    )
    run = f"run {HOSTILE}"
    error = {"label": HOSTILE, "message": HOSTILE}
    body = callback("c", run=run, status="FAILED", results=None, error=error)
    body["custom_data"] = {HOSTILE: HOSTILE}
    assert collector.send(encoded(body)).status_code == 200
    page = visit.page
    page.goto("/endpoints")
    check_harmless(page)
    page.goto(f"/endpoints/{one['id']}/edit")
    assert page.get_by_label("Description").input_value() == HOSTILE
    page.goto(f"/endpoints/{one['id']}")
    expect(rows(page, "failed")).to_have_count(1)
    check_harmless(page)
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#tested pre")).to_contain_text("onerror")
    check_harmless(page)
    page.get_by_role("link", name="input.failed").last.click()
    expect(page.locator("pre.body")).to_contain_text("onerror")
    expect(page.locator("table.tries pre").first).to_contain_text("onerror")
    check_harmless(page)
    (event, *_) = collector.pages("events", types="input.failed", run_uid=run)
    for path in ("/events", f"/events/{event['id']}"):
        page.goto(path)
        check_harmless(page)
