"""The pages of one run in a browser."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.callbacks import callback, encoded, new_run
from tests.collector_process import CollectorProcess, free_port
from tests.dashboard.browser import Visit
from tests.dashboard.hostile import HOSTILE
from tests.edges_process import EdgesProcess, wait_until

TABS = ("", "/inputs", "/callbacks", "/events")


@pytest.fixture(scope="module")
def run(collector: CollectorProcess, edges: EdgesProcess) -> str:
    """A run that ended, of which some inputs failed."""
    uid = edges.launch(20, collector, failed_share=0.4)
    edges.settle(uid)
    collector.wait_until_projected()
    return uid


@contextmanager
def signed_in(collector: CollectorProcess, key: str) -> Iterator[httpx2.Client]:
    """Somebody without a browser."""
    base_url = collector.base_url
    with httpx2.Client(base_url=base_url, trust_env=False, verify=False, timeout=20) as client:
        assert client.post("/sign-in", data={"key": key}).status_code == 303
        yield client


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def downloaded(page: Page, name: str, role: str = "link") -> list[dict[str, str]]:
    """The rows of the CSV file that a link or a button leads to."""
    with page.expect_download() as download:
        page.get_by_role(role, name=name, exact=True).click()  # type: ignore[arg-type]
    return rows_of(download.value.path())


def opened(page: Page, uid: str) -> None:
    """Go to a run from the list, as soon as it is there."""
    page.goto("/")
    page.locator(f'tr[data-run="{uid}"] th a').first.click()
    expect(page.locator("#run-uid")).to_have_text(uid)


def test_a_run_is_followed_to_its_proof_without_a_reload(
    visit: Visit, collector: CollectorProcess, edges: EdgesProcess
) -> None:
    page = visit.page
    uid = edges.launch(400, collector, callbacks_per_second=8, status_scope="run")
    opened(page, uid)
    page.evaluate("window.was_not_reloaded = true")
    expect(page.get_by_text("The run goes on (running)")).to_be_visible()
    expect(page.locator("[data-rate]")).to_have_text(re.compile("[1-9]"))
    expect(page.get_by_text("a file is a snapshot of what is here")).to_be_visible()
    assert edges.http.post(f"/runs/{uid}/cancel").is_success
    expect(page.get_by_text("A file has all that Edges reports")).to_be_visible()
    expect(page.get_by_text(re.compile("Every one of .* inputs is accounted for"))).to_be_visible()
    expect(page.locator(".run-head [data-chip=completeness]")).to_have_text("complete")
    expect(page.locator("#run-title")).to_have_text("linkedin-extract-people")
    counts = collector.get(f"runs/{uid}")["counts"]
    expect(page.locator('[data-value="counts.results"]')).to_have_text(f"{counts['results']:,}")
    expected = page.locator('[data-value="counts.expected_results"]')
    expect(expected).to_have_text(f"{counts['expected_results']:,}")
    bar = page.locator(".run-head svg")
    expect(bar).to_have_attribute("aria-label", re.compile(f"^{counts['inputs_succeeded']} succ"))
    expect(page.locator(".chart canvas")).to_be_visible()
    assert page.evaluate("window.was_not_reloaded") is True
    assert visit.shifted() < 0.05


def test_failed_inputs_are_explained_and_can_be_given_again(
    page: Page, collector: CollectorProcess, run: str
) -> None:
    page.goto(f"/runs/{run}")
    failed = [one for one in collector.pages(f"runs/{run}/inputs") if one["status"] == "FAILED"]
    label = failed[0]["error"]["label"]
    expect(page.locator(".failure", has_text=label).first).to_be_visible()
    rows = downloaded(page, "Download failed inputs as CSV")
    assert [list(row) for row in rows] == [["linkedin_profile_url", "custom_data.row"]] * len(rows)
    given = {
        (one["input"]["linkedin_profile_url"], str(one["custom_data"]["row"])) for one in failed
    }
    assert {tuple(row.values()) for row in rows} == given


def test_columns_are_chosen_kept_in_the_address_and_followed_by_files(
    page: Page, collector: CollectorProcess, run: str
) -> None:
    page.goto(f"/runs/{run}")
    page.get_by_text("Choose from").click()
    boxes = page.locator("#columns input")
    expect(boxes.first).to_be_visible()
    for name in boxes.evaluate_all("all => all.filter(one => one.checked).map(one => one.value)"):
        if name != "full_name":
            page.locator(f'#columns input[value="{name}"]').uncheck()
    page.locator('#columns input[value="custom_data.row"]').check()
    headers = page.locator("table.results thead th")
    expect(headers).to_have_text(["full_name", "custom_data.row"])
    expect(page).to_have_url(re.compile(r"columns=full_name&columns=custom_data\.row$"))
    page.reload()
    expect(headers).to_have_text(["full_name", "custom_data.row"])
    page.get_by_text("Options").click()
    page.get_by_label("Only the columns that are ticked below").check()
    rows = downloaded(page, "Download", "button")
    assert list(rows[0]) == ["full_name", "custom_data.row"]
    assert len(rows) == collector.get(f"runs/{run}")["counts"]["results"]
    page.get_by_role("button", name="Make it in the background").click()
    expect(page.get_by_text("The file is made")).to_be_visible()
    assert "csrf" not in page.url
    file = downloaded(page, "Fetch the CSV file")
    assert len(file) == len(rows)


def test_a_file_that_cannot_be_had_is_refused_beside_the_form(visit: Visit, run: str) -> None:
    visit.expected = ("400 (Bad Request)",)
    page = visit.page
    page.goto(f"/runs/{run}")
    page.get_by_text("Options").click()
    page.get_by_label("One for each person").check()
    page.get_by_label("That column").fill("no_such_field")
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.locator("#file-problem")).to_contain_text("no such field: no_such_field")
    expect(page.get_by_label("That column")).to_have_value("no_such_field")
    expect(page.get_by_label("One for each person")).to_be_checked()


def test_inputs_are_found_by_their_custom_data(page: Page, run: str) -> None:
    page.goto(f"/runs/{run}/inputs")
    rows = page.locator("table.inputs tbody tr")
    expect(rows).to_have_count(20)
    page.get_by_label("Path in custom_data").fill("row")
    page.get_by_label("Value at this path").fill("7")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("https://l/7")
    page.get_by_label("Path in custom_data").fill("")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Name the path in custom_data too")).to_be_visible()


def test_a_callback_is_read_as_it_came(page: Page, run: str) -> None:
    page.goto(f"/runs/{run}/callbacks")
    page.locator("table.callbacks button").first.click()
    body = page.locator("#body pre")
    expect(body).to_contain_text(f'"run_uid": "{run}"')
    with page.expect_download() as download:
        page.get_by_role("link", name="Download it whole").click()
    assert run in download.value.path().read_text("utf-8")
    page.get_by_role("button", name="Close").click()
    expect(body).to_be_hidden()


def test_events_are_told_in_words(page: Page, run: str) -> None:
    page.goto(f"/runs/{run}/events")
    expect(page.locator("table.events tbody tr").first).to_contain_text("The run is complete")
    page.get_by_label("Order").select_option("As they happened")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("table.events tbody tr").first).to_contain_text("The run started")
    page.get_by_label("Any type").select_option("input.failed")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("table.events tbody tr").first).to_contain_text(
        "An input of the run failed"
    )
    expect(page.get_by_text("No endpoint was told of this run")).to_be_visible()


def test_it_is_seen_whom_a_run_was_told(page: Page, collector: CollectorProcess) -> None:
    endpoint = {
        "url": f"http://127.0.0.1:{free_port()}/hook",
        "event_types": ["run.started"],
        "description": "Nobody listens",
    }
    made = collector.http.post("/api/v1/endpoints", json=endpoint)
    assert made.is_success, made.text
    uid = new_run()
    assert collector.send(encoded(callback(run=uid))).status_code == 200
    wait_until(lambda: collector.get("deliveries", run_uid=uid)["data"], "nothing is delivered")
    page.goto(f"/runs/{uid}/events")
    row = page.locator("table.deliveries tbody tr").first
    expect(row).to_contain_text("Nobody listens")
    expect(row).to_contain_text("pending")
    assert collector.http.delete(f"/api/v1/endpoints/{made.json()['id']}").is_success


def test_a_run_is_cancelled_after_it_was_said_what_that_means(
    page: Page, collector: CollectorProcess, edges: EdgesProcess
) -> None:
    uid = edges.launch(400, collector, callbacks_per_second=4, failed_share=0)
    opened(page, uid)
    page.get_by_role("button", name="Cancel …").click()
    dialog = page.get_by_role("dialog", name="Have Edges stop this run?")
    expect(dialog).to_contain_text("no more callbacks come")
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("Edges was asked to stop the run")).to_be_visible()
    expect(page.locator(".run-head [data-chip=status]")).to_have_text("stopped")
    expect(page.get_by_role("button", name="Resume …")).to_be_visible()


def test_what_edges_refuses_is_said_beside_the_buttons(visit: Visit, run: str) -> None:
    visit.expected = ("422 (", "409 (", "400 (")
    page = visit.page
    page.goto(f"/runs/{run}")
    page.get_by_role("button", name="Continue …").click()
    page.get_by_role("button", name="Continue the run").click()
    refusal = page.locator("section", has_text="Is it complete?").get_by_role("alert")
    expect(refusal).to_contain_text("Edges")


def test_a_run_is_deleted_once_its_uid_is_typed_in(
    visit: Visit, collector: CollectorProcess
) -> None:
    visit.expected = ("422 (Unprocessable", "404 (Not Found)")
    page, uid = visit.page, new_run()
    assert collector.send(encoded(callback(run=uid))).status_code == 200
    collector.wait_until_projected()
    page.goto(f"/runs/{uid}")
    page.get_by_role("button", name="Delete this run …").click()
    dialog = page.get_by_role("dialog", name="Delete everything of this run?")
    expect(dialog).to_contain_text("1 callback with their bodies as received")
    dialog.get_by_label("Type the run's uid").fill("something else")
    dialog.get_by_role("button", name="Delete the run").click()
    expect(dialog.get_by_text("What you typed is not the uid")).to_be_visible()
    assert collector.get(f"runs/{uid}")["run_uid"] == uid
    dialog.get_by_label("Type the run's uid").fill(uid)
    dialog.get_by_role("button", name="Delete the run").click()
    expect(page.get_by_text("Everything of it is gone")).to_be_visible()
    assert collector.http.get(f"/api/v1/runs/{uid}").status_code == 404


def test_an_unknown_run_is_waited_for(visit: Visit, collector: CollectorProcess) -> None:
    visit.expected = ("404 (Not Found)",)
    page, uid = visit.page, new_run()
    page.goto(f"/runs/{uid}")
    expect(page.get_by_text("A run shows up with its first callback")).to_be_visible()
    assert collector.send(encoded(callback(run=uid))).status_code == 200
    expect(page.locator("#run-uid")).to_have_text(uid)


def test_nothing_that_came_from_outside_is_run_or_breaks_a_page(
    visit: Visit, collector: CollectorProcess
) -> None:
    page, uid = visit.page, f"{new_run()} {HOSTILE.replace('/', '')}"
    for number, error in enumerate((None, {"error_label": HOSTILE, "message": HOSTILE})):
        body = callback(
            f"{number} {HOSTILE}",
            run=uid,
            batch=HOSTILE,
            status="FAILED" if error else HOSTILE,
            results=({HOSTILE: HOSTILE, "name": [HOSTILE], "full_name": "Zoë"},),
            error=error,
        )
        body["run"] |= {"action_name": HOSTILE, "execution_mode": HOSTILE}
        body |= {"input": {HOSTILE: HOSTILE}, "custom_data": {"a": HOSTILE, HOSTILE: number}}
        assert collector.send(encoded(body)).status_code == 200
    collector.wait_until_projected()
    page.goto("/")
    page.get_by_role("searchbox").fill(uid[:36])
    page.locator(f'tr[data-run^="{uid[:36]}"] th a').first.click()
    expect(page.locator(".failure")).to_be_visible()
    expect(page.locator("table.results")).to_contain_text("<img src=x")
    page.get_by_text("Choose from").click()
    page.locator("#columns input").first.click()
    expect(page.locator("table.results")).to_contain_text("Zoë")
    for tab in ("Inputs", "Callbacks", "Events"):
        page.get_by_role("navigation", name="Parts of this run").get_by_text(tab).click()
        expect(page.locator("table").first).to_contain_text("<img src=x")
        if tab == "Callbacks":
            page.locator("table.callbacks button").first.click()
            expect(page.locator("#body pre")).to_contain_text("<img src=x")
            page.get_by_role("button", name="Close").click()


@pytest.mark.parametrize(
    ("scope", "may_act", "may_delete"),
    [("read", False, False), ("write", True, False), ("admin", True, True)],
)
def test_forms_are_shown_to_whoever_may_use_them_and_refused_to_others(
    collector: CollectorProcess, run: str, scope: str, may_act: bool, may_delete: bool
) -> None:
    made = collector.http.post("/api/v1/keys", json={"name": f"may {scope}", "scopes": [scope]})
    with signed_in(collector, made.json()["key"]) as client:
        for part in (*TABS, "/completeness", "/figures", "/preview"):
            assert client.get(f"/runs/{run}{part}").status_code == 200, part
        page = client.get(f"/runs/{run}").text
        assert "Is it complete?" in page
        assert ("Reconcile now" in page, "Delete this run" in page) == (may_act, may_delete)
        token = re.search(r'X-CSRF-Token": "([^"]+)"', page)
        assert token is not None
        asked = client.post(f"/runs/{run}/reconcile", data={"csrf": token[1]})
        assert asked.status_code == (303 if may_act else 403), asked.text
        form = {"csrf": token[1], "confirmation": run}
        if not may_delete:
            assert client.post(f"/runs/{run}/delete", data=form).status_code == 403
        forged = client.post(f"/runs/{run}/reconcile", data={"csrf": "made up"})
        assert forged.status_code == 403
        assert "Nothing was changed" in forged.text
    assert collector.get(f"runs/{run}")["run_uid"] == run


def test_every_page_of_a_run_is_accessible(visit: Visit, collector: CollectorProcess) -> None:
    uid = new_run()
    error = {"error_label": "LK_ERROR", "message": "try again"}
    for body in (
        callback(run=uid, row="a", status="SUCCEEDED"),
        callback("c2", run=uid, row="b", status="FAILED", results=(), error=error),
        callback("c3", run=uid, row="c"),
    ):
        assert collector.send(encoded(body)).status_code == 200
    collector.wait_until_projected()
    for tab in TABS:
        visit.page.goto(f"/runs/{uid}{tab}")
        if not tab:
            expect(visit.page.locator("table.results")).to_be_visible()
            expect(visit.page.locator(".chart canvas")).to_be_visible()
            visit.page.get_by_text("Options").click()
            visit.page.get_by_text("Choose from").click()
        visit.check_accessibility()
