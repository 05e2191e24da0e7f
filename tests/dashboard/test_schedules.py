"""Schedules in a browser: what they did, what comes next, and changing them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit
from tests.dashboard.clients import client_with, csrf_of
from tests.dashboard.schedule_history import (
    HOSTILE,
    HOURLY,
    missed_days,
    morning_run,
    write_history,
)
from tests.databases import fresh_database
from tests.edges_process import EdgesProcess


@pytest.fixture(scope="module")
def scheduled(edges: EdgesProcess) -> str:
    """A schedule that Edges knows."""
    body = {"inputs": [{"n": 1}], "cron": "30 6 * * *", "timezone": "Europe/Paris"}
    answer = edges.http.post("/actions/linkedin-extract-people/run/schedule", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["uid"])


@pytest.fixture(scope="module")
def collector(
    tmp_path_factory: pytest.TempPathFactory, edges: EdgesProcess, scheduled: str
) -> Iterator[CollectorProcess]:
    """One with a history of schedules, and with one that can be changed."""
    del scheduled  # is there before the collector asks
    with fresh_database("sqlite", tmp_path_factory.mktemp("schedules") / "data") as env:
        write_history(env)
        every = {"COLLECTOR_SCHEDULE_POLL_S": "100000"}  # the next time is far away
        process = CollectorProcess({**env, **edges.env, **every}).wait_until_ready()
        yield process
        process.kill()


def test_the_days_of_a_schedule_show_what_it_missed_and_what_comes(visit: Visit) -> None:
    page = visit.page
    page.goto("/schedules")
    row = page.get_by_role("row", name="Leads of the day")
    expect(row).to_contain_text("At 09:00 every day")
    expect(row.locator("time")).to_have_text(re.compile("^in "))
    expect(row.locator(".cell[data-state=missed]")).to_have_count(2)
    visit.check_accessibility()
    row.get_by_role("link", name="Leads of the day").click()
    for missed in missed_days(datetime.now(UTC)):
        expect(page.get_by_label(f"{missed:%-d %B} 09:00 missed")).to_be_visible()
    expect(page.locator("a.cell[data-state=failed]")).to_have_attribute(
        "href", f"/runs/{morning_run(5)}"
    )
    expect(page.locator(".strip .cell[data-state=next]")).to_have_count(7)
    visit.check_accessibility()
    page.get_by_role("link", name="All of them").click()
    expect(page.locator("tr[data-run]")).not_to_have_count(0)


def test_what_others_named_is_text(visit: Visit) -> None:
    page = visit.page
    page.goto("/schedules")
    expect(page.get_by_text(HOSTILE, exact=True)).to_be_visible()
    page.goto(f"/schedules/{HOURLY}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    expect(page.get_by_text(f"hourly{HOSTILE}")).to_be_visible()
    expect(page.locator(".cell").first).to_be_visible()
    visit.check_accessibility()


def test_a_schedule_is_paused_changed_and_deleted_at_edges(
    visit: Visit, edges: EdgesProcess, collector: CollectorProcess, scheduled: str
) -> None:
    page = visit.page
    # What is answered makes it known here, as a poll would.
    assert collector.http.post(f"/api/v1/schedules/{scheduled}/pause").is_success
    page.goto(f"/schedules/{scheduled}")
    page.get_by_role("button", name="Resume", exact=True).click()
    page.get_by_role("button", name="Resume it").click()
    expect(page.get_by_role("status").filter(has_text="Resumed")).to_be_visible()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("until it is resumed")
    page.get_by_role("button", name="Leave it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Pause it").click()
    expect(page.get_by_role("status").filter(has_text="Paused")).to_be_visible()
    assert edges.http.get(f"/schedules/{scheduled}").json()["status"] == "PAUSED"

    visit.expected = ("422",)
    page.get_by_text("Change its timetable").click()
    page.get_by_label("Cron", exact=True).fill("every day")
    page.get_by_role("button", name="Change it at Edges").click()
    expect(page.get_by_role("alert")).to_contain_text("five fields")
    cron = page.get_by_label("Cron", exact=True)
    expect(cron).to_have_value("every day")
    expect(cron).to_have_attribute("aria-invalid", "true")
    visit.check_accessibility()
    cron.fill("15 7 * * 1-5")
    page.get_by_role("button", name="Change it at Edges").click()
    expect(page.get_by_text("At 07:15 on Monday through Friday")).to_be_visible()

    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("results stay here")
    page.get_by_role("button", name="Delete it at Edges").click()
    expect(page.get_by_role("status").filter(has_text="Deleted")).to_be_visible()
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_hidden()


@pytest.mark.parametrize(("scope", "may"), [("read", False), ("write", True)])
def test_schedules_are_changed_by_whoever_may_write(
    collector: CollectorProcess, edges: EdgesProcess, scope: str, may: bool
) -> None:
    body = {"inputs": [{"n": 1}], "cron": "30 6 * * *"}
    uid = edges.http.post("/actions/linkedin-extract-people/run/schedule", json=body).json()["uid"]
    assert collector.http.post(f"/api/v1/schedules/{uid}/pause").is_success
    with client_with(collector, scope) as client:
        page = client.get(f"/schedules/{uid}").text
        assert "Every day" in page or "06:30" in page
        assert ("Resume" in page, "Change its timetable" in page) == (may, may)
        answer = client.post(f"/schedules/{uid}/resume", data={"csrf": csrf_of(page)})
        assert answer.status_code == (303 if may else 403)
        assert client.post(f"/schedules/{uid}/resume").status_code == 403
    status = edges.http.get(f"/schedules/{uid}").json()["status"]
    assert status == ("ACTIVE" if may else "PAUSED")
