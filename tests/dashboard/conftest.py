"""A browser, a simulated Edges and a collector for the tests of pages; each for a whole module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit, launched, visiting
from tests.databases import fresh_database
from tests.edges_process import EdgesProcess, simulated_edges


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as one:
        yield one


@pytest.fixture(scope="module")
def edges() -> Iterator[EdgesProcess]:
    with simulated_edges(seed=11, results_per_input=(1, 4), page_size=2, failed_share=0.2) as one:
        yield one


@pytest.fixture(scope="module")
def collector(
    tmp_path_factory: pytest.TempPathFactory, edges: EdgesProcess
) -> Iterator[CollectorProcess]:
    """Beside the simulated Edges, and free to send webhooks to this machine."""
    with fresh_database("sqlite", tmp_path_factory.mktemp("dashboard") / "data") as env:
        allowing = {"COLLECTOR_ALLOW_PRIVATE_ENDPOINTS": "true"}
        process = CollectorProcess({**env, **edges.env, **allowing}).wait_until_ready()
        yield process
        process.kill()


@pytest.fixture
def visit(browser: Browser, collector: CollectorProcess) -> Iterator[Visit]:
    """Somebody signed in."""
    with visiting(browser, collector) as one:
        yield one


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page
