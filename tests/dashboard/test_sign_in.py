"""Sessions: who gets in, who is sent back to where they were, and who does not get in."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.collector_process import ADMIN_KEY, CollectorProcess
from tests.dashboard.browser import Visit, visiting

COOKIE = "collector_session"


@pytest.fixture
def stranger(browser: Browser, collector: CollectorProcess) -> Iterator[Visit]:
    """Somebody who is not signed in."""
    visit = Visit(browser, collector.base_url)
    yield visit
    visit.leave()


@pytest.fixture
def client(collector: CollectorProcess) -> Iterator[httpx2.Client]:
    """A program that is not signed in, and follows nothing."""
    with httpx2.Client(base_url=collector.base_url, trust_env=False, verify=False) as one:
        yield one


def test_a_session_that_ended_leads_to_sign_in_and_back(
    browser: Browser, collector: CollectorProcess
) -> None:
    with visiting(browser, collector) as visit:
        visit.expected = ("401",)  # of what the page asked for meanwhile
        page = visit.page
        page.goto("/?q=mine")
        (cookie,) = [one for one in visit.context.cookies() if one["name"] == COOKIE]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        visit.context.add_cookies(
            [{"name": COOKIE, "value": "made.up", "url": collector.base_url, "httpOnly": True}]
        )
        page.reload()
        expect(page.get_by_text("Your session ended")).to_be_visible()
        expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
        visit.check_accessibility()
        page.get_by_label("API key").fill(ADMIN_KEY)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{collector.base_url}/?q=mine")


def test_a_live_part_of_an_ended_session_leads_to_sign_in(
    browser: Browser, collector: CollectorProcess
) -> None:
    with visiting(browser, collector) as visit:
        visit.expected = ("401",)
        page = visit.page
        expect(page.locator("#runs")).to_be_visible()
        visit.context.clear_cookies()
        page.evaluate("() => { htmx.ajax('GET', '/', '#runs') }")
        expect(page.get_by_text("Your session ended")).to_be_visible()


def test_a_wrong_key_is_told_and_begins_no_session(stranger: Visit) -> None:
    stranger.expected = ("403",)
    page = stranger.page
    page.goto("/?q=mine")
    expect(page.get_by_text("Your session ended")).to_be_hidden()
    page.get_by_label("API key").fill('"><img src=x onerror=alert(1)>')
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known")
    assert page.get_by_label("API key").get_attribute("aria-invalid") == "true"
    assert not [one for one in stranger.context.cookies() if one["name"] == COOKIE]
    page.get_by_label("API key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/\?q=mine$"))


def test_signing_out_ends_the_session_here(browser: Browser, collector: CollectorProcess) -> None:
    with visiting(browser, collector) as visit:
        visit.page.get_by_role("button", name="Sign out").click()
        expect(visit.page).to_have_url(f"{collector.base_url}/sign-in")
        visit.page.goto("/")
        expect(visit.page).to_have_url(re.compile("/sign-in"))


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:0", ""]
)
def test_signing_in_leads_to_no_other_site(client: httpx2.Client, elsewhere: str) -> None:
    answer = client.post("/sign-in", data={"key": ADMIN_KEY, "next": elsewhere})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_form_without_the_token_of_its_session_changes_nothing(
    client: httpx2.Client, collector: CollectorProcess
) -> None:
    client.post("/sign-in", data={"key": ADMIN_KEY})
    token = _token(client)
    own = {"csrf": token}
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    for data, headers in (
        ({}, {}),
        ({"csrf": "made.up"}, {}),
        ({"csrf": _token_of_another(collector)}, {}),
        (own, elsewhere),
        (own, {"Origin": "https://evil.example"}),
    ):
        refused = client.post("/sign-out", data=data, headers=headers)
        assert refused.status_code == 403, (data, headers)
        assert "Nothing was changed" in refused.text
        assert "set-cookie" not in refused.headers
    assert client.post("/sign-out", data=own).status_code == 303


def test_another_site_cannot_sign_anybody_in_nor_read_by_the_cookie(
    client: httpx2.Client,
) -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    refused = client.post("/sign-in", data={"key": ADMIN_KEY}, headers=elsewhere)
    assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)
    client.post("/sign-in", data={"key": ADMIN_KEY})
    assert client.get("/api/v1/runs").status_code == 200
    assert client.get("/api/v1/runs", headers=elsewhere).status_code == 401
    assert client.post("/api/v1/ingest/token").status_code == 401


def test_the_cookie_is_secure_behind_tls(client: httpx2.Client) -> None:
    behind_tls = {"X-Forwarded-Proto": "https"}
    for headers, is_secure in (({}, False), (behind_tls, True)):
        answer = client.post("/sign-in", data={"key": ADMIN_KEY}, headers=headers)
        assert ("secure" in answer.headers["set-cookie"].lower()) is is_secure


def _token(client: httpx2.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]


def _token_of_another(collector: CollectorProcess) -> str:
    with httpx2.Client(base_url=collector.base_url, trust_env=False, verify=False) as another:
        another.post("/sign-in", data={"key": ADMIN_KEY})
        return _token(another)
