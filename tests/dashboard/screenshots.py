"""Pictures of the main pages, of a collector that has seen something.

python -m tests.dashboard.screenshots [NAME …]      writes them into deploy/screenshots
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import Browser

from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit, launched
from tests.dashboard.schedule_history import DAILY, write_history
from tests.databases import fresh_database
from tests.edges_process import EdgesProcess, simulated_edges, wait_until
from tests.webhook_receiver import Answer, Delivered, receiver

FOLDER = Path(__file__).parents[2] / "deploy" / "screenshots"
WIDTH, HEIGHT = 1280, 860
BYTES_MAX = 150_000
SETTLED_MS = 1_500
DAY_S = 300.0
"""In which all of it must have come in."""


class Day(NamedTuple):
    """What came in, as far as pages name it."""

    complete: str
    incomplete: str
    failing_endpoint: str


class Picture(NamedTuple):
    """A page, and what its file is called."""

    name: str
    path: str
    theme: str = "light"


def pictures(day: Day) -> list[Picture]:
    """All that are made."""
    run, endpoint = f"/runs/{day.incomplete}", f"/endpoints/{day.failing_endpoint}"
    return [
        Picture("runs", "/"),
        Picture("run", run),
        Picture("run-dark", run, "dark"),
        Picture("run-complete", f"/runs/{day.complete}"),
        Picture("endpoints", "/endpoints"),
        Picture("endpoint", endpoint),
        Picture("quarantine", "/quarantine"),
        Picture("schedules", "/schedules"),
        Picture("schedule", f"/schedules/{DAILY}"),
        Picture("health", "/health"),
        Picture("first-steps", "/first-steps"),
    ]


def main(names: list[str]) -> int:
    """Make the pictures of these names, or all; 1 if a page is not there, or one is too large."""
    with ExitStack() as stack:
        edges = stack.enter_context(
            simulated_edges(seed=2026, results_per_input=(1, 5), page_size=2, failed_share=0.05)
        )
        collector = stack.enter_context(_collector(edges))
        day = stack.enter_context(_a_day(collector, edges))
        browser = stack.enter_context(launched())
        FOLDER.mkdir(exist_ok=True)
        chosen = [one for one in pictures(day) if not names or one.name in names]
        taken = [_take(browser, collector, one) for one in chosen]
        return 0 if all(taken) else 1


@contextmanager
def _collector(edges: EdgesProcess) -> Iterator[CollectorProcess]:
    with (
        tempfile.TemporaryDirectory(prefix="edges-collector-pictures-") as folder,
        fresh_database("sqlite", Path(folder) / "data") as env,
    ):
        _say("two weeks of schedules …")
        write_history(env, hourly=None)
        more = {"COLLECTOR_ALLOW_PRIVATE_ENDPOINTS": "true", "COLLECTOR_SCHEDULE_POLL_S": "9999"}
        public = {"COLLECTOR_PUBLIC_URL": "https://collector.example.com"}
        collector = CollectorProcess({**env, **edges.env, **more, **public})
        try:
            yield collector.wait_until_ready()
        finally:
            collector.kill()


@contextmanager
def _a_day(collector: CollectorProcess, edges: EdgesProcess) -> Iterator[Day]:
    """Runs that ended in all ways, and one that goes on until the pictures are made."""
    with receiver() as webhooks:
        webhooks.behave = _is_picky
        _endpoint(collector, f"{webhooks.url}/crm", "The CRM")
        failing = _endpoint(collector, f"{webhooks.url}/warehouse", "The warehouse's loader")
        _say("a complete run, of which some callbacks were lost …")
        complete = edges.launch(500, collector, drop_share=0.03, duplicate_share=0.05)
        _say("an incomplete one, and one that failed …")
        incomplete = edges.launch(300, collector, withheld_share=0.02, drop_share=0.02)
        failed = edges.launch(40, collector, failed_share=1.0)
        for number in range(3):
            collector.send(b'{"event": "lead.created", "id": %d}' % number)
        collector.send(b'{"run": {"run_uid": "cut-off", "status": "RUNN')
        for uid in (complete, incomplete, failed):
            edges.settle(uid)
        _say("waiting until Edges was asked about them …")
        for uid, ends in ((complete, "complete"), (incomplete, "incomplete"), (failed, "complete")):
            _wait_for(collector, uid, ends)
        _say("a run that goes on …")
        edges.launch(2_000, collector, callbacks_per_second=40)
        wait_until(lambda: _newest(collector)["status"] == "RUNNING", "it does not run", DAY_S)
        yield Day(complete, incomplete, failing)


def _wait_for(collector: CollectorProcess, uid: str, completeness: str) -> None:
    def run() -> Any:
        return collector.get(f"runs/{uid}")

    wait_until(lambda: run()["completeness"] == completeness, lambda: f"{run()}", DAY_S)


def _newest(collector: CollectorProcess) -> Any:
    return collector.get("runs", limit=1)["data"][0]


def _take(browser: Browser, collector: CollectorProcess, picture: Picture) -> bool:
    size = {"width": WIDTH, "height": HEIGHT}
    visit = Visit(browser, collector.base_url, viewport=size, color_scheme=picture.theme)
    page = visit.sign_in().page
    answer = page.goto(picture.path)
    if answer is None or not answer.ok:
        _say(f"{picture.name}: there is no page at {picture.path}")
        visit.context.close()
        return False
    page.locator(".htmx-request").first.wait_for(state="detached")
    page.wait_for_timeout(SETTLED_MS)  # what comes after the page, and a second of live figures
    png = page.screenshot(animations="disabled")
    visit.context.close()
    file = FOLDER / f"{picture.name}.png"
    # Pages have few colours: with a palette, pictures are a third of the size.
    few = Image.open(BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(file, optimize=True)
    size_bytes = file.stat().st_size
    _say(f"{file.name}  {size_bytes / 1000:.0f} kB (of {len(png) / 1000:.0f})")
    return size_bytes < BYTES_MAX


def _is_picky(one: Delivered) -> Answer:
    if one.path == "/warehouse":
        return Answer(503, body=b'{"error": "the warehouse is being rebuilt until noon"}')
    return Answer()


def _endpoint(collector: CollectorProcess, url: str, description: str) -> str:
    types = ["run.completed", "run.incomplete", "run.failed", "callbacks.lost"]
    body = {"url": url, "description": description, "event_types": types}
    answer = collector.http.post("/api/v1/endpoints", json=body)
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def _say(text: str) -> None:
    sys.stderr.write(f"{re.sub(r'[^ -~…]', '?', text)}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
