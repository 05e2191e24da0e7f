"""Who may read: the admin key, compared in constant time."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem

PROTECTED = "/api/"


class ApiKeyMiddleware:
    """Lets requests to `/api/…` through only with the key as `Authorization: Bearer …`."""

    def __init__(self, app: ASGIApp, *, admin_key: str) -> None:
        self._app = app
        self._key = admin_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401."""
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            given = Headers(scope=scope).get("authorization", "")
            kind, _, key = given.partition(" ")
            is_known = hmac.compare_digest(key.strip().encode(), self._key)
            if not is_known or kind.lower() != "bearer":
                refusal = problem(
                    401,
                    "Unauthorized",
                    "send an API key as `Authorization: Bearer …`; the first one is in the file"
                    " admin-key of the data folder",
                    {"WWW-Authenticate": "Bearer"},
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
