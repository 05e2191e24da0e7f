"""API keys in a browser, and what pages show to whom."""

import re
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.collector_process import CollectorProcess
from tests.dashboard.browser import Visit, visiting
from tests.dashboard.hostile import HOSTILE, check_harmless
from tests.databases import fresh_database


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    with fresh_database("sqlite", tmp_path_factory.mktemp("keys") / "data") as env:
        process = CollectorProcess(env).wait_until_ready()
        yield process
        process.kill()


def new_key(collector: CollectorProcess, scope: str, name: str = "of a test") -> str:
    answer = collector.http.post("/api/v1/keys", json={"name": name, "scopes": [scope]})
    assert answer.status_code == 201, answer.text
    key: str = answer.json()["key"]
    return key


def test_a_key_is_made_shown_once_and_revoked(
    visit: Visit, browser: Browser, collector: CollectorProcess
) -> None:
    page = visit.page
    page.goto("/keys")
    expect(page.locator("table.keys tbody tr").first).to_contain_text("COLLECTOR_ADMIN_KEY")
    page.get_by_label("Name").fill("Export to the warehouse")
    page.get_by_label("Expires").select_option("30")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#secret").inner_text()
    assert key.startswith("edc_")
    assert key not in page.url
    visit.check_accessibility()
    page.reload()
    row = page.locator("table.keys tbody tr").filter(has_text="Export to the warehouse")
    expect(row).to_contain_text("active")
    expect(row).to_contain_text("in 29 d")
    assert key not in page.content()
    visit.check_accessibility()

    with visiting(browser, collector) as other:
        other.context.clear_cookies()
        other.sign_in(key)
        expect(other.page.get_by_role("link", name="Keys")).to_have_count(0)
        row.get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("dialog")).to_contain_text("cannot be taken back")
        page.get_by_role("button", name="Revoke the key").click()
        expect(row).to_contain_text("revoked")
        other.page.goto("/endpoints")
        expect(other.page.get_by_label("API key")).to_be_visible()


def test_what_is_wrong_with_a_name_is_said_and_a_hostile_one_is_only_text(
    visit: Visit, collector: CollectorProcess
) -> None:
    visit.expected = ("422",)
    page = visit.page
    page.goto("/keys")
    page.get_by_label("Name").fill("   ")
    page.get_by_label("admin", exact=False).check()
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#problem-name")).to_contain_text("something to read")
    expect(page.locator("[name=scope][value=admin]")).to_be_checked()
    new_key(collector, "write", HOSTILE)
    page.goto("/keys")
    check_harmless(page)


def signed_in(collector: CollectorProcess, key: str) -> tuple[httpx2.Client, str]:
    """A client with a session, and the token that its forms carry."""
    client = httpx2.Client(base_url=collector.base_url, trust_env=False, verify=False, timeout=20)
    assert client.post("/sign-in", data={"key": key}).status_code == 303
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/endpoints").text)
    assert found
    return client, found[1]


def test_a_key_that_may_only_read_sees_no_forms_and_changes_nothing(
    collector: CollectorProcess,
) -> None:
    body = {"url": "https://example.com/", "event_types": ["run.failed"], "description": "Theirs"}
    one = collector.http.post("/api/v1/endpoints", json=body).json()["id"]
    entry = collector.send(b'{"no": "callback"}').json()["quarantine_id"]
    before = collector.get(f"endpoints/{one}")
    client, csrf = signed_in(collector, new_key(collector, "read"))
    with closing(client):
        for path in ("/endpoints", f"/endpoints/{one}", "/events"):
            shown = client.get(path)
            assert shown.status_code == 200
            posts = re.findall(r'<form method="post" action="([^"]+)"', shown.text)
            assert posts == ["/sign-out"], path
        assert "Theirs" in client.get("/endpoints").text
        for path in ("/endpoints/new", f"/endpoints/{one}/edit", "/quarantine", "/keys"):
            refused = client.get(path)
            assert refused.status_code == 403, path
            assert "admin" in refused.text
        posted: tuple[tuple[str, dict[str, str]], ...] = (
            ("/endpoints/new", {"url": "https://example.org/", "everything": "true"}),
            (f"/endpoints/{one}/edit", {"url": "https://example.org/", "everything": "true"}),
            (f"/endpoints/{one}/state", {"state": "paused"}),
            (f"/endpoints/{one}/rotate-secret", {}),
            (f"/endpoints/{one}/test", {}),
            (f"/endpoints/{one}/redeliver", {"since": "2026-01-01T00:00"}),
            (f"/endpoints/{one}/delete", {}),
            (f"/quarantine/{entry}/reprocess", {}),
            (f"/quarantine/{entry}/delete", {}),
            ("/keys", {"name": "mine", "scope": "admin"}),
        )
        for path, fields in posted:
            answer = client.post(path, data={**fields, "csrf": csrf})
            assert answer.status_code == 403, (path, answer.text)
            unsigned = client.post(path, data=fields)
            assert unsigned.status_code == 403
    assert collector.get(f"endpoints/{one}") == before
    assert len(collector.pages("endpoints")) == 1
    assert collector.get(f"quarantine/{entry}")["quarantine_id"] == entry
    assert "mine" not in [key["name"] for key in collector.pages("keys")]
