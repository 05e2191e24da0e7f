"""A newcomer's way: from an empty page to a file, against the simulated Edges."""

import csv
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.collector_process import ADMIN_KEY, TOKEN, CollectorProcess
from tests.dashboard.browser import Visit, visiting
from tests.dashboard.clients import client_with, csrf_of
from tests.databases import fresh_database
from tests.edges_process import wait_until


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector as it is installed: nothing came, and there is no key of Edges."""
    with fresh_database("sqlite", tmp_path / "data") as env:
        process = CollectorProcess(env).wait_until_ready()
        yield process
        process.kill()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """The same, to which something may have come."""
    with fresh_database("sqlite", tmp_path_factory.mktemp("used") / "data") as env:
        process = CollectorProcess(env).wait_until_ready()
        yield process
        process.kill()


def test_a_newcomer_gets_from_an_empty_page_to_a_file(
    browser: Browser, empty: CollectorProcess
) -> None:
    visit = Visit(browser, empty.base_url)
    page = visit.page
    page.goto("/")
    page.get_by_label("API key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("No run came in yet")).to_be_visible()
    expect(page.get_by_role("search")).to_be_hidden()
    visit.check_accessibility()

    page.get_by_role("button", name="Start the demo").click()
    expect(page.get_by_text("The demo began")).to_be_visible()
    page.evaluate("window.was_not_reloaded = true")
    row = page.locator("#arrived tr[data-run]")
    expect(row.get_by_text("the demo")).to_be_visible()
    expect(row.locator("[data-chip=completeness]")).to_have_text("unverified", timeout=60_000)
    wait_until(lambda: not empty.get("demo")["is_going"], "the demo goes on", 90)
    empty.wait_until_projected()
    total = empty.get(f"runs/{empty.get('demo')['run_uid']}")["counts"]["results"]
    expect(row.locator('[data-value="counts.results"]')).to_have_text(f"{total:,}")
    assert page.evaluate("window.was_not_reloaded") is True
    visit.check_accessibility()

    with page.expect_download() as downloading:
        row.get_by_role("link", name="CSV").click()
    with Path(downloading.value.path()).open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == total
    assert {each["custom_data.demo"] for each in rows} == {"first steps"}
    visit.leave()


def test_the_command_on_the_page_works_when_pasted(
    browser: Browser, used: CollectorProcess
) -> None:
    with visiting(browser, used) as visit:
        page = visit.page
        page.goto("/first-steps")
        expect(page.get_by_text("Edges cannot reach 127.0.0.1")).to_be_visible()
        assert TOKEN not in page.content()
        page.get_by_role("button", name="Show the token").click()
        expect(page.locator("#token")).to_have_text(TOKEN)
        line = page.locator("#send-line").text_content() or ""
        for answer in ("stored", "duplicate"):
            done = subprocess.run(
                ["sh", "-c", line], capture_output=True, text=True, check=True, timeout=60
            )
            assert f'"status":"{answer}"' in done.stdout
        expect(page.locator("tr[data-run=first-steps]")).to_be_visible()
        visit.check_accessibility()


@pytest.mark.parametrize(("scope", "may"), [("read", False), ("admin", True)])
def test_the_token_and_the_demo_are_for_admins(
    used: CollectorProcess, scope: str, may: bool
) -> None:
    with client_with(used, scope) as client:
        page = client.get("/first-steps").text
        assert ("Show the token" in page, "Start the demo" in page) == (may, may)
        shown = client.post("/first-steps/token", data={"csrf": csrf_of(page)})
        assert (shown.status_code, TOKEN in shown.text) == ((200, True) if may else (403, False))
        if not may:
            assert client.post("/first-steps/demo", data={"csrf": csrf_of(page)}).status_code == 403
