"""Sessions: what a cookie opens, and what it does not."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from itsdangerous import URLSafeTimedSerializer

from app.api import sessions
from tests.collector_process import ADMIN_KEY, CollectorProcess

Browser = httpx2.Client


@pytest.fixture
def browser(shared_collector: CollectorProcess) -> Iterator[Browser]:
    """Somebody who is signed in, as a browser without JavaScript is."""
    with httpx2.Client(
        base_url=shared_collector.base_url, trust_env=False, verify=False, timeout=60
    ) as client:
        answer = client.post("/sign-in", data={"key": ADMIN_KEY})
        assert answer.status_code == 303
        yield client


def test_the_cookie_is_for_the_browser_alone(browser: Browser) -> None:
    answer = browser.post("/sign-in", data={"key": ADMIN_KEY})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie  # by plain HTTP it would be lost
    assert ADMIN_KEY not in cookie
    behind_tls = browser.post(
        "/sign-in", data={"key": ADMIN_KEY}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "secure" in behind_tls.headers["set-cookie"].lower()


def test_a_session_reads_the_api_and_changes_nothing_there(browser: Browser) -> None:
    assert browser.get("/api/v1/runs").status_code == 200
    refused = browser.delete("/api/v1/runs/none")
    assert refused.status_code == 401
    assert browser.post("/api/v1/endpoints", json={"url": "https://a.test"}).status_code == 401


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}]
)
def test_another_site_reads_nothing_with_it(browser: Browser, headers: dict[str, str]) -> None:
    assert browser.get("/api/v1/runs", headers=headers).status_code == 401
    own = {"Sec-Fetch-Site": "same-origin"}
    assert browser.get("/api/v1/runs", headers=own).status_code == 200


def test_a_wrong_key_beside_a_session_opens_nothing(browser: Browser) -> None:
    headers = {"Authorization": "Bearer wrong"}
    assert browser.get("/api/v1/runs", headers=headers).status_code == 401


def test_cookies_that_were_made_up_or_are_too_old_open_nothing(browser: Browser) -> None:
    good = browser.cookies[sessions.COOKIE]
    body, _, signature = good.rpartition(".")
    forged = URLSafeTimedSerializer("another secret", salt="dashboard session")
    for cookie in ("", "x", f"{body}x.{signature}", str(forged.dumps(["admin", "0" * 32]))):
        browser.cookies.clear()
        headers = {"Cookie": f"{sessions.COOKIE}={cookie}"}
        assert browser.get("/api/v1/runs", headers=headers).status_code == 401, cookie
        assert browser.get("/", headers=headers).status_code == 303


def test_forms_want_the_token_of_their_session(browser: Browser) -> None:
    page = browser.get("/").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token
    assert browser.post("/sign-out").status_code == 403
    assert browser.post("/sign-out", data={"csrf": "made-up"}).status_code == 403
    other = httpx2.Client(
        base_url=browser.base_url, trust_env=False, verify=False, cookies=dict(browser.cookies)
    )
    other.cookies.clear()
    other.post("/sign-in", data={"key": ADMIN_KEY})
    assert other.post("/sign-out", data={"csrf": token[1]}).status_code == 403
    other.close()
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/sign-out", data={"csrf": token[1]}, headers=elsewhere).status_code == 403
    assert browser.post("/sign-out", data={"csrf": token[1]}).status_code == 303
    assert browser.get("/").status_code == 303  # the cookie is gone
