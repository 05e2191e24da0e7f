"""What every answer carries: a request id, the same one that the log names."""

import re
from time import perf_counter
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("api")

_ACCEPTABLE = re.compile(r"[\w.:-]{1,100}", re.ASCII)


class RequestIdMiddleware:
    """Takes `X-Request-ID` from the request, or makes one, and gives it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with the id bound to the log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ACCEPTABLE.fullmatch(given) else uuid4().hex

        started = perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope["path"].startswith("/api/"):  # the query may hold users' own data
                    log.info(
                        "request",
                        method=scope["method"],
                        path=scope["path"],
                        status=message["status"],
                        ms=round((perf_counter() - started) * 1000, 1),
                    )
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)
