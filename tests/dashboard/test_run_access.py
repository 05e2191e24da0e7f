"""What of a run's page whoever may only read gets to see: no form that changes anything."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.api.access import Access, Keyring
from app.api.sessions import Sessions
from app.dashboard.application import create_dashboard

RUN = {
    "run_uid": "r-1",
    "action_name": "linkedin-extract-people",
    "execution_mode": "ASYNC",
    "scheduled_run_uid": None,
    "status": "STOPPED",
    "completeness": "complete",
    "counts": dict.fromkeys(
        ["callbacks", "duplicates", "conflicts", "results", "expected_results", "inputs"], 1
    )
    | {"inputs_succeeded": 1, "inputs_failed": 0, "inputs_pending": 0},
    "missing": None,
    "losses": None,
    "reconciliation": {
        "checked_at": "2026-11-25T10:04:09.000Z",
        "next_at": None,
        "is_over": True,
        "problem": None,
        "generations": 1,
    },
    "first_received_at": "2026-11-25T10:04:09.000Z",
    "last_received_at": "2026-11-25T10:04:09.000Z",
    "finished_at": None,
    "reconciled_at": "2026-11-25T10:04:09.000Z",
    "last_error": None,
}
SECRET = "secret of the tests"


class OneKey(Keyring):
    """A keyring whose only key opens what its scope says."""

    def __init__(self, scope: str) -> None:
        super().__init__("key")
        self._access = Access("k", "somebody", frozenset({scope}))

    async def identify(self, key: str) -> Access | None:
        return self._access

    async def by_id(self, key_id: str) -> Access | None:
        return self._access


async def api(request: Request) -> Response:
    """Answers as the API does; whoever may only read is refused everything else."""
    access: Access = request.scope["state"]["access"]
    if request.method != "GET" and not access.may("admin"):
        problem = {"title": "Forbidden", "detail": "this needs a key with another scope"}
        return JSONResponse(problem, 403)
    return JSONResponse(RUN)


def visited(scope: str, method: str, path: str, data: Mapping[str, str] | None = None) -> Any:
    """The answer to somebody who is signed in with a key of this scope."""

    async def ask() -> httpx2.Response:
        keyring = OneKey(scope)
        asked = Starlette(
            routes=[Route("/api/v1/{path:path}", api, methods=["GET", "POST", "DELETE"])]
        )
        sessions = Sessions(keyring, SECRET, [])
        dashboard = create_dashboard(asked, keyring=keyring, sessions=sessions)
        transport = httpx2.ASGITransport(dashboard)
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            await client.post("/sign-in", data={"key": "key"})
            page = await client.get("/runs/r-1")
            token = re.search(r'X-CSRF-Token": "([^"]+)"', page.text)
            assert token is not None
            if method == "GET":
                return page
            return await client.post(path, data={"csrf": token[1], **(data or {})})

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("scope", "shown"),
    [("read", (False, False)), ("write", (True, False)), ("admin", (True, True))],
)
def test_forms_are_shown_to_whoever_may_use_them(scope: str, shown: tuple[bool, bool]) -> None:
    page = visited(scope, "GET", "/runs/r-1").text
    assert "Is it complete?" in page
    assert ("Reconcile now" in page, "Delete this run" in page) == shown
    assert ("Have Edges go on with this run?" in page) == shown[0]


def test_what_a_key_may_not_do_is_refused_and_said() -> None:
    answer = visited("read", "POST", "/runs/r-1/reconcile")
    assert answer.status_code == 403
    assert "this needs a key with another scope" in answer.text
    refused = visited("read", "POST", "/runs/r-1/delete", {"confirmation": "r-1"})
    assert refused.status_code == 403


def test_a_form_without_its_token_changes_nothing() -> None:
    answer = visited("admin", "POST", "/runs/r-1/reconcile", {"csrf": "made up"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.text
