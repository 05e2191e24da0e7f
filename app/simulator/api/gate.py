"""What a request meets before its endpoint: planned faults, the key, the budget."""

from collections import deque
from hmac import compare_digest
from math import ceil
from time import monotonic
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.simulator.api.answers import error_answer
from app.simulator.chance import draw, happens
from app.simulator.errors import EdgesError
from app.simulator.scenario import Scenario

_RATE_LIMIT_TYPE: Final = "requests_per_minute"


class Gate:
    """ASGI middleware of the API: cuts or fails requests, then asks for key and budget."""

    def __init__(self, app: ASGIApp, *, scenario: Scenario, api_key: str) -> None:
        self._app = app
        self._scenario = scenario
        self._api_key = api_key.encode()
        self._budget = _Budget(scenario.requests_per_minute, scenario.rate_window_s)
        self._request_count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        scenario, number = self._scenario, self._request_count
        self._request_count += 1
        if happens(scenario.cut_share, scenario.seed, "cut", number):
            send = _Cut(send)
        if happens(scenario.error_share_5xx, scenario.seed, "5xx", number):
            status = 503 if draw(scenario.seed, "503", number) < 0.5 else 500
            refusal = error_answer(EdgesError("GENERIC_ERROR"), status_code=status)
            return await refusal(scope, receive, send)
        if not compare_digest(Headers(scope=scope).get("x-api-key", "").encode(), self._api_key):
            return await error_answer(EdgesError("NO_ACCESS"))(scope, receive, send)
        if self._budget.applies_to(scope["path"]):
            wait_s = self._budget.spend()
            if wait_s is not None:
                refusal = error_answer(EdgesError("STATUS_429"))
                refusal.headers["X-RateLimit-Type"] = _RATE_LIMIT_TYPE
                refusal.headers["Retry-After"] = str(max(1, ceil(wait_s)))
                refusal.headers["X-RateLimit-Remaining"] = "0"
                return await refusal(scope, receive, send)
            send = self._budget.announced(send)
        return await self._app(scope, receive, send)


class _Budget:
    """Requests left in the window that slides along with now."""

    def __init__(self, limit: int | None, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._spent_at: deque[float] = deque()

    def applies_to(self, path: str) -> bool:
        """All routes of runs share the budget, those of callbacks included."""
        return self._limit is not None and path.startswith("/v1/runs")

    def spend(self) -> float | None:
        """Spend one request: None, or the seconds to wait until there is one to spend."""
        assert self._limit is not None  # noqa: S101 (asked `applies_to` first)
        now = monotonic()
        while self._spent_at and self._spent_at[0] <= now - self._window_s:
            self._spent_at.popleft()
        if len(self._spent_at) >= self._limit:
            return self._spent_at[0] + self._window_s - now
        self._spent_at.append(now)
        return None

    def announced(self, send: Send) -> Send:
        """Have the answer say what is left."""
        remaining = str((self._limit or 0) - len(self._spent_at))

        async def send_with_remaining(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-RateLimit-Remaining"] = remaining
            await send(message)

        return send_with_remaining


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
