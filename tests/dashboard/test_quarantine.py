"""The quarantine in a browser."""

import json
from collections.abc import Iterator

import pytest
import zstandard
from playwright.sync_api import expect

from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit
from tests.dashboard.hostile import HOSTILE, check_harmless
from tests.databases import fresh_database, replace_quarantined


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    with fresh_database("sqlite", tmp_path_factory.mktemp("quarantine") / "data") as env:
        process = CollectorProcess(env).wait_until_ready()
        yield process
        process.kill()


@pytest.fixture(autouse=True)
def emptied(collector: CollectorProcess) -> None:
    for one in collector.pages("quarantine"):
        collector.http.delete(f"/api/v1/quarantine/{one['quarantine_id']}")


def test_what_was_not_understood_is_looked_at_tried_again_and_dropped(
    visit: Visit, collector: CollectorProcess
) -> None:
    visit.expected = ("409",)
    page = visit.page
    page.goto("/quarantine")
    expect(page.get_by_text("Nothing is in quarantine")).to_be_visible()
    visit.check_accessibility()
    for _ in range(2):
        assert collector.send(b'{"still": {"odd": 1}}').status_code == 202
    row = page.locator("table.quarantine tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("not shaped like a callback")
    visit.check_accessibility()
    row.get_by_role("link").click()
    expect(page.get_by_text("2 times in all")).to_be_visible()
    assert '{\n  "still": {\n    "odd": 1\n  }\n}' in page.locator("pre.body").inner_text()
    visit.check_accessibility()
    page.get_by_role("button", name="Read it again").click()
    expect(page.get_by_role("alert")).to_contain_text("still not a callback")
    page.reload()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("gone for good")
    page.get_by_role("button", name="Delete the body").click()
    expect(page.get_by_text("Nothing is in quarantine")).to_be_visible()


def test_what_is_a_callback_after_an_upgrade_goes_to_its_run(
    visit: Visit, collector: CollectorProcess
) -> None:
    """As after an upgrade that understands more: here the body in quarantine is made readable."""
    entry = collector.send(b'{"run": "not yet understood"}').json()["quarantine_id"]
    replace_quarantined(collector.env, zstandard.compress(sent("c1", run="recovered")))
    page = visit.page
    page.goto(f"/quarantine/{entry}")
    page.get_by_role("button", name="Read it again").click()
    expect(page.get_by_text("counts as if it had just arrived")).to_be_visible()
    to_run = page.get_by_role("link", name="To its run")
    assert to_run.get_attribute("href") == "/runs/recovered"
    page.reload()
    expect(page.get_by_text("Nothing is in quarantine")).to_be_visible()


def test_what_others_sent_is_only_text_and_as_much_as_fits(
    visit: Visit, collector: CollectorProcess
) -> None:
    page = visit.page
    bodies = (
        (HOSTILE.encode(), "text/plain"),
        (json.dumps({HOSTILE: HOSTILE}).encode(), "application/json"),
        (HOSTILE.encode() + b"x" * 3_000_000, f"text/{HOSTILE[:40]}"),
        (b'{"still": [' + b"[" * 1_500 + b"]" * 1_500 + b"]}", "application/json"),
    )
    ids = [
        collector.send(body, Content_Type=content_type).json()["quarantine_id"]
        for body, content_type in bodies
    ]
    page.goto("/quarantine")
    expect(page.locator("table.quarantine tbody tr")).to_have_count(4)
    check_harmless(page)
    for quarantine_id in ids[:3]:
        page.goto(f"/quarantine/{quarantine_id}")
        check_harmless(page)
    expect(page.get_by_text("Only the beginning of 3.0 MB is shown")).to_be_visible()
    assert len(page.content()) < 120_000
    page.goto(f"/quarantine/{ids[3]}")  # laid out whole it would be thousands of times as long
    assert '"still"' in page.locator("pre.body").inner_text()
    assert len(page.content()) < 120_000
    with page.expect_download() as download:
        page.get_by_role("link", name="Download it whole").click()
    assert download.value.path().read_bytes() == bodies[3][0]
