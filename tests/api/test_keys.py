"""`/api/v1/keys`, and what keys open: every route, tried with a key of every scope."""

import re
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.api.access import SCOPES
from app.api.application import ROUTES
from app.api.auth import PROTECTED, ScopedRoute
from app.api.openapi import document
from tests.callbacks import sent
from tests.collector_process import ADMIN_KEY, CollectorProcess
from tests.conftest import postgres_only
from tests.databases import run

NOBODY = "key_" + "0" * 32
UNLISTED = {"id", "name", "scopes", "hint"} | {
    f"{what}_at" for what in ("created", "expires", "last_used", "revoked")
}


def make(collector: CollectorProcess, *scopes: str, **members: Any) -> Any:
    body = {"name": "ci", "scopes": list(scopes), **members}
    answer = collector.http.post("/api/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def asked(collector: CollectorProcess, key: str, method: str = "GET", path: str = "runs") -> Any:
    """An answer to who gives this key."""
    headers = {b"Authorization": f"Bearer {key}".encode()}
    return collector.http.request(method, f"/api/v1/{path}", headers=headers)


def test_a_key_is_shown_once(shared_collector: CollectorProcess) -> None:
    answer = shared_collector.http.post(
        "/api/v1/keys", json={"name": "nightly export", "scopes": ["write", "read"]}
    )
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.headers["location"] == f"/api/v1/keys/{made['id']}"
    key = made.pop("key")
    assert re.fullmatch(r"edc_[\w-]{43}", key)
    assert set(made) == UNLISTED
    assert (made["name"], made["scopes"]) == ("nightly export", ["read", "write"])
    assert made["hint"] == key[-4:]
    assert made["created_at"] is not None
    assert made["expires_at"] is made["last_used_at"] is made["revoked_at"] is None

    assert shared_collector.get(f"keys/{made['id']}") == made
    assert made in shared_collector.pages("keys")
    for path in ("keys", f"keys/{made['id']}"):
        assert key not in shared_collector.http.get(f"/api/v1/{path}").text
    assert key not in shared_collector.log
    assert asked(shared_collector, key).status_code == 200


def test_the_list_begins_with_the_admin_key(shared_collector: CollectorProcess) -> None:
    made = [make(shared_collector, "read")["id"] for _ in range(5)]
    ids = [record["id"] for record in shared_collector.pages("keys", limit=2)]
    assert ids[:6] == ["admin", *made[::-1]]
    assert len(ids) == len(set(ids))
    first = shared_collector.http.get("/api/v1/keys", params={"limit": 1})
    assert 'rel="next"' in first.headers["link"]
    admin = shared_collector.get("keys/admin")
    assert admin == first.json()["data"][0]
    assert set(admin) == UNLISTED
    assert (admin["scopes"], admin["hint"]) == ([*SCOPES], ADMIN_KEY[-4:])


def test_the_admin_key_is_changed_in_the_settings(shared_collector: CollectorProcess) -> None:
    refused = shared_collector.http.delete("/api/v1/keys/admin")
    assert refused.status_code == 409
    assert "COLLECTOR_ADMIN_KEY" in refused.json()["detail"]
    assert shared_collector.get("runs")["data"] is not None


def test_a_revoked_key_never_works_again(start_collector: Callable[..., CollectorProcess]) -> None:
    collector = start_collector()
    made = make(collector, "admin")
    key, path = made["key"], f"keys/{made['id']}"
    assert asked(collector, key).status_code == 200
    revoked = asked(collector, key, "DELETE", path)
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] is not None
    refused = asked(collector, key)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "the API key ci was revoked at 20" in refused.json()["detail"]

    again = collector.http.delete(f"/api/v1/{path}").json()
    assert again["revoked_at"] == revoked.json()["revoked_at"]
    assert again in collector.pages("keys")
    collector.stop()
    other = start_collector()
    assert "was revoked" in asked(other, key).json()["detail"]
    assert asked(other, ADMIN_KEY).status_code == 200
    for missing in ("DELETE", "GET"):
        for key_id in (NOBODY, "key_%00", "no-id"):
            assert asked(other, ADMIN_KEY, missing, f"keys/{key_id}").status_code == 404


def test_an_expired_key_says_so(shared_collector: CollectorProcess) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=2)
    made = make(shared_collector, "read", expires_at=moment.isoformat())
    until = time.monotonic() + 30
    while (answer := asked(shared_collector, made["key"])).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert answer.status_code == 401
    assert datetime.now(UTC) >= moment
    assert f"the API key ci expired at {made['expires_at']}" in answer.json()["detail"]
    assert shared_collector.get(f"keys/{made['id']}")["expires_at"] == made["expires_at"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["read"]}, "#/name"),
        ({"name": "", "scopes": ["read"]}, "#/name"),
        ({"name": "  ", "scopes": ["read"]}, "#/name"),
        ({"name": "two\nlines", "scopes": ["read"]}, "#/name"),
        ({"name": "x" * 101, "scopes": ["read"]}, "#/name"),
        ({"name": "ci"}, "#/scopes"),
        ({"name": "ci", "scopes": []}, "#/scopes"),
        ({"name": "ci", "scopes": ["root"]}, "#/scopes/0"),
        ({"name": "ci", "scopes": "read"}, "#/scopes"),
        ({"name": "ci", "scopes": ["read"], "expires_at": "tomorrow"}, "#/expires_at"),
        ({"name": "ci", "scopes": ["read"], "expires_at": 4_000_000_000}, "#/expires_at"),
        ({"name": "ci", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00"}, "#/expires_at"),
        ({"name": "ci", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}, "#/expires_at"),
        ({"name": "ci", "scopes": ["read"], "key": "edc_mine"}, "#/key"),
    ],
)
def test_what_is_no_key_is_refused_by_name(
    shared_collector: CollectorProcess, body: Any, pointer: str
) -> None:
    answer = shared_collector.http.post("/api/v1/keys", json=body)
    assert (answer.status_code, answer.json()["pointer"]) == (400, pointer), answer.text


def test_who_gives_no_key_is_told_what_to_send(shared_collector: CollectorProcess) -> None:
    for given in ("", "Basic YTpi", "Bearer", f"Basic {ADMIN_KEY}"):
        answer = shared_collector.http.get("/api/v1/runs", headers={"Authorization": given})
        assert answer.status_code == 401
        assert "send an API key as `Authorization: Bearer …`" in answer.json()["detail"]
    for key in ("edc_" + "x" * 43, "x", "é"):
        answer = asked(shared_collector, key)
        assert answer.status_code == 401
        assert "not known" in answer.json()["detail"]


# ------------------------------------------------------------------------- scopes


def test_every_route_of_the_api_needs_a_scope() -> None:
    needs = {route.needs for route in ROUTES if isinstance(route, ScopedRoute)}
    assert needs == set(SCOPES)
    for route in ROUTES:
        assert isinstance(route, ScopedRoute) == route.path.startswith(PROTECTED), route
    with pytest.raises(ValueError, match="no scope"):
        ScopedRoute("/api/v1/more", ROUTES[0].endpoint, "everything", ["GET"])


def test_every_route_opens_to_its_scope_and_to_no_lesser_one(
    shared_collector: CollectorProcess,
) -> None:
    keys = {scope: make(shared_collector, scope)["key"] for scope in SCOPES}
    tried = 0
    for route, method, path in operations():
        for scope, key in keys.items():
            answer = asked(shared_collector, key, method, path)
            is_open = SCOPES.index(scope) >= SCOPES.index(route.needs)
            assert (answer.status_code != 403) == is_open, (method, path, scope, answer.text)
            assert answer.status_code != 401
            if not is_open:
                problem = answer.json()
                assert problem["needs"] == route.needs
                assert problem["has"][-1] == scope
                assert f"scope {route.needs}; key ci has read" in problem["detail"]
            if method == "GET":
                is_head_open = asked(shared_collector, key, "HEAD", path).status_code != 403
                assert is_head_open == is_open
            tried += 1
        assert asked(shared_collector, "nobody's", method, path).status_code == 401
    assert tried >= 150


def test_the_document_says_which_scope_each_operation_needs() -> None:
    paths = document(ROUTES)["paths"]
    for route, method, _ in operations():
        described = paths[re.sub(r":\w+}", "}", route.path)][method.lower()]
        assert described["security"] == [{"apiKey": [route.needs]}]
        assert f"`{route.needs}`" in described["description"]
        assert {"401", "403"} <= set(described["responses"])


def operations() -> list[tuple[ScopedRoute, str, str]]:
    """Each operation of the API, at a path where there is nothing."""
    return [
        (route, method, re.sub(r"{[^}]*}", "nothing", route.path).removeprefix("/api/v1/"))
        for route in ROUTES
        if isinstance(route, ScopedRoute)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


def test_what_is_not_there_needs_a_key_too(shared_collector: CollectorProcess) -> None:
    key = make(shared_collector, "read")["key"]
    assert asked(shared_collector, key, path="no/such/thing").status_code == 404
    assert asked(shared_collector, key, "PUT", "runs").status_code == 405
    assert asked(shared_collector, "nobody's", path="no/such/thing").status_code == 401


def test_records_name_the_key_that_asked(shared_collector: CollectorProcess) -> None:
    key = make(shared_collector, "admin", name="privacy desk")["key"]
    by_key, by_admin = (
        asked(shared_collector, one, "DELETE", "people?field=email&value=someone@example.com")
        for one in (key, ADMIN_KEY)
    )
    assert by_key.json()["requested_by"] == "key privacy desk"
    assert by_admin.json()["requested_by"] == "admin key"
    lifted = asked(shared_collector, key, "POST", f"erasures/{by_admin.json()['erasure_id']}/lift")
    assert lifted.json()["lifted_by"] == "key privacy desk"


def test_the_last_use_is_noted_soon(shared_collector: CollectorProcess) -> None:
    made = make(shared_collector, "read")
    assert asked(shared_collector, made["key"]).status_code == 200
    path, until = f"keys/{made['id']}", time.monotonic() + 30
    while (used := shared_collector.get(path)["last_used_at"]) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert used >= made["created_at"]


# ---------------------------------------------------------------- as the service runs


@postgres_only
def test_a_key_opens_every_replica_and_ends_on_all(
    start_collector: Callable[..., CollectorProcess],
) -> None:
    one, other = start_collector(), start_collector()
    made = make(one, "read")
    assert asked(other, made["key"]).status_code == 200
    one.http.delete(f"/api/v1/keys/{made['id']}")
    assert asked(one, made["key"]).status_code == 401
    until = time.monotonic() + 30
    while (answer := asked(other, made["key"])).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert "was revoked" in answer.json()["detail"]


def test_a_stream_ends_when_its_key_is_revoked(collector: CollectorProcess) -> None:
    made = make(collector, "read")
    headers = {"Authorization": f"Bearer {made['key']}", "Accept": "text/event-stream"}
    with collector.http.stream("GET", "/api/v1/events", headers=headers) as stream:
        assert stream.status_code == 200
        lines = stream.iter_lines()
        while "events follow" not in next(lines):
            pass
        collector.http.delete(f"/api/v1/keys/{made['id']}")
        collector.send(sent("c1"))
        assert not [line for line in lines if line.startswith("event: run.started")]


def test_without_the_table_the_admin_key_still_opens(
    collector: CollectorProcess, database: Mapping[str, str]
) -> None:
    made = make(collector, "read")
    with missing_table(database):
        answer = asked(collector, "edc_unknown")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert asked(collector, ADMIN_KEY).status_code == 200
    assert asked(collector, made["key"]).status_code == 200


@contextmanager
def missing_table(database: Mapping[str, str]) -> Any:
    """The keys cannot be read meanwhile."""

    def execute(statement: str) -> None:
        if url := database.get("COLLECTOR_DATABASE_URL"):
            run(url, statement)
            return
        path = Path(database["COLLECTOR_DATA_DIR"]) / "collector.db"
        with closing(sqlite3.connect(path, timeout=10)) as file:
            file.execute(statement)

    execute("ALTER TABLE api_keys RENAME TO api_keys_away")
    yield
    execute("ALTER TABLE api_keys_away RENAME TO api_keys")
