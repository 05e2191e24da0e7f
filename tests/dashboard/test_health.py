"""The page of health: figures that move by themselves, and what to do when something fails."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.dashboard.health import CHART_HEIGHT, chart
from tests.callbacks import sent
from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit
from tests.databases import fresh_database


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A new one, which calls it a failure if callbacks wait for a second."""
    with fresh_database("sqlite", tmp_path / "data") as env:
        process = CollectorProcess({**env, "COLLECTOR_READY_LAG_S": "1"}).wait_until_ready()
        yield process
        process.kill()


def test_callbacks_are_seen_to_come_without_a_reload(
    visit: Visit, collector: CollectorProcess
) -> None:
    page = visit.page
    page.goto("/health")
    expect(page.get_by_text("All is well")).to_be_visible()
    expect(page.get_by_role("img", name=": 0.0 now, 0.0 at the most")).to_be_visible()
    page.evaluate("window.was_not_reloaded = true")
    for number in range(20):
        collector.send(sent(f"c{number}"))
    collector.send(b'{"<script>alert(1)</script>": "<img src=x onerror=alert(1)>"}')
    expect(page.get_by_role("img", name=": 0.0 now, 0.0 at the most")).to_be_hidden()
    expect(page.get_by_role("row", name="stored").get_by_role("cell")).to_have_text("20")
    expect(page.get_by_role("row", name="quarantined").get_by_role("cell")).to_have_text("1")
    assert page.evaluate("window.was_not_reloaded") is True
    visit.check_accessibility()


def test_what_fails_is_told_with_what_to_do(visit: Visit, collector: CollectorProcess) -> None:
    page = visit.page
    page.goto("/health")
    expect(page.get_by_text("All is well")).to_be_visible()
    worker = int(collector.get("health")["checks"]["worker"]["detail"].rpartition(" ")[2])
    os.kill(worker, signal.SIGSTOP)
    try:
        collector.send(sent("late"))
        expect(page.get_by_text("1 check of")).to_be_visible()
        expect(page.get_by_text("It catches up once")).to_be_visible()
        visit.check_accessibility()
    finally:
        os.kill(worker, signal.SIGCONT)
    expect(page.get_by_text("All is well")).to_be_visible()


@pytest.mark.parametrize(
    ("counts", "path"),
    [
        ([], f"M0 {CHART_HEIGHT}H0V100Z"),
        ([0, 0, 0], "M0 100H0V100H3V100Z"),
        ([0, 4, 4, 2], "M0 100H0V100H1V0H3V50H4V100Z"),
    ],
)
def test_the_chart_goes_to_the_peak(counts: list[int], path: str) -> None:
    assert chart(counts, 2).path == path
    assert chart(counts, 2).peak == max(counts, default=0) / 2
