"""The list of runs in a browser."""

import re

from playwright.sync_api import Page, expect

from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit
from tests.edges_process import EdgesProcess


def test_a_run_is_seen_to_begin_and_to_be_proven_without_a_reload(
    visit: Visit, collector: CollectorProcess, edges: EdgesProcess
) -> None:
    page = visit.page
    page.evaluate("window.was_not_reloaded = true")
    uid = edges.launch(30, collector)
    row = page.locator(f'tr[data-run="{uid}"]')
    expect(row).to_be_visible()
    expect(row.locator("[data-chip=completeness]")).to_have_text("complete")
    run = collector.get(f"runs/{uid}")
    expect(row.locator('[data-value="counts.results"]')).to_have_text(
        f"{run['counts']['results']:,}"
    )
    assert page.evaluate("window.was_not_reloaded") is True


def test_nothing_jumps_while_a_run_goes_on(
    visit: Visit, collector: CollectorProcess, edges: EdgesProcess
) -> None:
    uid = edges.launch(60, collector, delay_s=[0.2, 1.5])
    row = visit.page.locator(f'tr[data-run="{uid}"]')
    expect(row).to_be_visible()
    visit.page.reload()
    expect(row.locator("[data-chip=completeness]")).to_have_text("complete")
    assert visit.shifted() < 0.01


def test_filters_are_kept_in_the_address(
    page: Page, collector: CollectorProcess, edges: EdgesProcess
) -> None:
    uid = edges.launch(3, collector)
    edges.settle(uid)
    collector.wait_until_projected()
    page.get_by_role("searchbox").fill(uid)
    expect(page.locator("tr[data-run]")).to_have_count(1)
    expect(page).to_have_url(re.compile(uid))
    page.get_by_label("Any status").select_option("failed")
    expect(page.get_by_text("No run fits these filters")).to_be_visible()
    page.reload()
    expect(page.get_by_text("No run fits these filters")).to_be_visible()
    assert page.get_by_role("searchbox").input_value() == uid


def test_the_list_is_accessible(
    visit: Visit, collector: CollectorProcess, edges: EdgesProcess
) -> None:
    uid = edges.launch(3, collector)
    edges.settle(uid)
    visit.page.goto("/")
    expect(visit.page.locator("tr[data-run]").first).to_be_visible()
    visit.check_accessibility()
