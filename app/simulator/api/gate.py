"""What a request meets before its endpoint: planned faults, the key, the budget."""

import asyncio
from hmac import compare_digest
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.simulator.api.answers import error_answer
from app.simulator.api.budget import Budget
from app.simulator.api.faults import Fault, fault_of
from app.simulator.api.ledger import Ledger
from app.simulator.errors import EdgesError
from app.simulator.workspace import Workspace

_RATE_LIMIT_TYPE: Final = "requests_per_minute"
# What stands in front of an API answers these by itself, and not in the API's format.
_OF_A_PROXY: Final = (502, 504)


class Gate:
    """ASGI middleware of the API: delays, cuts or fails requests, then asks for key and budget."""

    def __init__(self, app: ASGIApp, *, workspace: Workspace, ledger: Ledger, api_key: str) -> None:
        self._app = app
        self._workspace = workspace
        self._ledger = ledger
        self._api_key = api_key.encode()
        self._budget = Budget(workspace.clock)
        self._request_count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        fault = fault_of(self._workspace.scenario, self._request_count)
        self._request_count += 1
        entry = self._ledger.entry(scope)
        send = entry.noting(_Cut(send) if fault.is_cut else send)
        try:
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            await self._answer(fault, scope, receive, send)
        except HTTPException as error:  # what the router refuses is answered further out
            entry.status = error.status_code
            raise
        finally:
            entry.write()

    async def _answer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.status_5xx is not None:
            return await _failure(fault.status_5xx)(scope, receive, send)
        if not compare_digest(Headers(scope=scope).get("x-api-key", "").encode(), self._api_key):
            return await error_answer(EdgesError("NO_ACCESS"))(scope, receive, send)
        scenario = self._workspace.scenario
        if self._budget.applies_to(scope["path"], scenario):
            wait_s = self._budget.spend(scenario)
            if wait_s is not None:
                refusal = error_answer(EdgesError("STATUS_429"))
                refusal.headers["X-RateLimit-Type"] = _RATE_LIMIT_TYPE
                refusal.headers["X-RateLimit-Remaining"] = "0"
                if scenario.retry_after_sent:
                    refusal.headers["Retry-After"] = self._budget.retry_after(wait_s)
                return await refusal(scope, receive, send)
            send = self._budget.announced(send, scenario)
        return await self._app(scope, receive, send)


def _failure(status: int) -> Response:
    if status in _OF_A_PROXY:
        text = f"<html><head><title>{status}</title></head><body>{status}</body></html>"
        return HTMLResponse(text, status_code=status)
    return error_answer(EdgesError("GENERIC_ERROR"), status_code=status)


class _Cut:
    """Sends the first half of the first part of an answer, and nothing after it.

    An answer that is left incomplete makes the server close the connection.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_cut = False

    async def __call__(self, message: Message) -> None:
        if self._is_cut:
            return
        if message["type"] == "http.response.body":
            self._is_cut = True
            body = message.get("body", b"")
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await self._send(message)
