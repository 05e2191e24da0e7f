"""What all pages share."""

from app.dashboard.pages import REFRESH_MS_MIN, refresh_pause_ms
from tests.collector_process import ADMIN_KEY, CollectorProcess


def test_open_pages_together_ask_for_no_more_however_many_they_are() -> None:
    assert refresh_pause_ms(0) == refresh_pause_ms(1) == REFRESH_MS_MIN
    for watchers in (20, 200, 5_000):
        assert watchers / refresh_pause_ms(watchers) <= 1 / 300  # at most so many a millisecond


def test_pages_say_what_browsers_may_do_with_them(shared_collector: CollectorProcess) -> None:
    http = shared_collector.http
    answer = http.get("/sign-in", headers={"Accept-Encoding": "gzip"})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["content-encoding"] == "gzip"
    assert "<h1>Sign in</h1>" in answer.text
    plain = http.get("/sign-in", headers={"Accept-Encoding": "identity"})
    assert plain.text == answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_no_page_is_goes_to_the_api(shared_collector: CollectorProcess) -> None:
    http = shared_collector.http
    assert http.get("/nothing/here").headers["content-type"] == "application/problem+json"
    assert http.get("/healthz").text == "ok\n"
    # The key of the API does not open pages: those are for sessions.
    answer = http.get("/", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
