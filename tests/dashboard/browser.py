"""A real Chromium, driven as a user would, that notices what a page must not do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.collector_process import ADMIN_KEY, CollectorProcess

EXECUTABLE = "COLLECTOR_TEST_CHROMIUM"
TIMEOUT_MS = 20_000
expect.set_options(timeout=TIMEOUT_MS)
_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
SERIOUS = ("serious", "critical")


def chromium() -> str:
    """Where Chromium is. Skips the test without one; with `CI=true` fails it."""
    found = (
        os.environ.get(EXECUTABLE) or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    if found:
        return found
    problem = (
        f"no Chromium for the tests of pages: run `make chromium`, or name one in {EXECUTABLE}"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(problem)
    pytest.skip(problem)


@contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium without a window."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """One person at a browser; what the pages did wrong gathers in `problems`."""

    def __init__(self, browser: Browser, base_url: str, **options: object) -> None:
        self.context: BrowserContext = browser.new_context(base_url=base_url, **options)  # type: ignore[arg-type]
        self.context.set_default_timeout(TIMEOUT_MS)
        self.problems: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Parts of console messages that are no problem, such as of an answer that was refused."""
        self._host = urlsplit(base_url).netloc
        self.context.add_init_script(_SHIFTS)
        self.context.on("page", self._watch)
        self.page: Page = self.context.new_page()

    def _watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self._on_request(request.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def _on_request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc != self._host:
            self.problems.append(f"a request left the host: {url}")

    def sign_in(self, key: str = ADMIN_KEY) -> "Visit":
        """By the form, as anybody does."""
        self.page.goto("/sign-in")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("navigation", name="Main").wait_for()
        return self

    def shifted(self) -> float:
        """How much of the page has jumped since it was opened (as Cumulative Layout Shift)."""
        return float(self.page.evaluate("window.shifted"))

    def check_accessibility(self) -> None:
        """Fails on what axe finds serious, in both themes."""
        for theme in ("light", "dark"):
            self.page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
            found = Axe().run(self.page).response["violations"]
            serious = [
                f"{one['id']} ({one['impact']}): {node['target']} {node['failureSummary']}"
                for one in found
                if one["impact"] in SERIOUS
                for node in one["nodes"]
            ]
            assert not serious, f"{theme}: " + "\n".join(serious)

    def leave(self) -> None:
        """Close the browser's window. Fails if a page did what it must not."""
        self.context.close()
        left = [one for one in self.problems if not any(part in one for part in self.expected)]
        assert not left, "\n".join(left)


@contextmanager
def visiting(browser: Browser, collector: CollectorProcess, **options: object) -> Iterator[Visit]:
    """Somebody who looks at a collector, signed in already; leaves in the end."""
    visit = Visit(browser, collector.base_url, **options)
    try:
        yield visit.sign_in()
    except BaseException:
        visit.context.close()
        raise
    visit.leave()
