"""The log of events in a browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.callbacks import callback, encoded, new_run
from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit
from tests.databases import fresh_database
from tests.edges_process import wait_until
from tests.webhook_receiver import receiver


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    with fresh_database("sqlite", tmp_path_factory.mktemp("events") / "data") as env:
        allowing = {"COLLECTOR_ALLOW_PRIVATE_ENDPOINTS": "true"}
        process = CollectorProcess({**env, **allowing}).wait_until_ready()
        yield process
        process.kill()


def test_events_come_by_themselves_and_lead_to_where_they_went(
    visit: Visit, collector: CollectorProcess
) -> None:
    page, run = visit.page, new_run()
    page.goto(f"/events?run_uid={run}")
    expect(page.get_by_text("No event fits")).to_be_visible()
    with receiver() as receiving:
        body = {"url": receiving.url, "event_types": ["run.succeeded"], "description": "A program"}
        assert collector.http.post("/api/v1/endpoints", json=body).status_code == 201
        sent = callback("c", run=run, status="SUCCEEDED")
        assert collector.send(encoded(sent)).status_code == 200
        expect(page.locator("table.events tbody tr")).to_have_count(2)
        page.get_by_label("Type of event").select_option("run.succeeded")
        expect(page.locator("table.events tbody tr")).to_have_count(1)
        expect(page).to_have_url(re.compile("types=run.succeeded"))
        visit.check_accessibility()
        page.get_by_role("link", name="run.succeeded").click()
        expect(page.locator("pre.body")).to_contain_text(f'"run_uid": "{run}"')
        expect(page.get_by_role("link", name="A program")).to_be_visible()
        visit.check_accessibility()
        page.get_by_role("link", name="Tries and body").click()
        expect(page.locator("#delivery .chip").first).to_have_text("delivered")


def test_the_log_is_paged_and_found_by_run(visit: Visit, collector: CollectorProcess) -> None:
    runs = [new_run() for _ in range(30)]
    for run in runs:
        sent = callback("c", run=run, status="SUCCEEDED")
        assert collector.send(encoded(sent)).status_code == 200
    wait_until(lambda: len(collector.pages("events")) >= 60, "some are not told")
    page = visit.page
    page.goto("/events")
    expect(page.locator("table.events tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Next page").click()
    expect(page.get_by_role("link", name="First page")).to_be_visible()
    page.goto(f"/events?run_uid={runs[0]}")
    expect(page.locator("table.events tbody tr")).to_have_count(2)
    page.get_by_role("searchbox").fill("another")
    expect(page.get_by_text("No event fits")).to_be_visible()
