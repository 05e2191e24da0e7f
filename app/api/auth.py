"""Who may read: whoever has the admin key, or a signed link to one run's results."""

import hmac
import re
from time import time

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem
from app.notify.links import LinkSigner

PROTECTED = "/api/"
_RESULTS = re.compile(r"/api/v1/runs/[^/]+/results")


class ApiKeyMiddleware:
    """Lets requests to `/api/…` through only with the key as `Authorization: Bearer …`.

    The results of a run can also be read by a link that was signed for them, until it expires.
    """

    def __init__(self, app: ASGIApp, *, admin_key: str, links: LinkSigner) -> None:
        self._app = app
        self._key = admin_key.encode()
        self._links = links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401."""
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            given = Headers(scope=scope).get("authorization", "")
            kind, _, key = given.partition(" ")
            is_known = hmac.compare_digest(key.strip().encode(), self._key)
            if _is_link(scope):
                problem_of_link = self._problem_of_link(scope)
                if problem_of_link is not None:
                    refusal = problem(403, "The link is not valid", problem_of_link)
                    await refusal(scope, receive, send)
                    return
            elif not is_known or kind.lower() != "bearer":
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

    def _problem_of_link(self, scope: Scope) -> str | None:
        query = QueryParams(scope["query_string"])
        if beyond := _BEYOND_RESULTS.intersection(query):
            return f"it opens results alone: leave {', '.join(sorted(beyond))} out"
        return self._links.problem(
            scope["path"], query.get("expires", ""), query.get("signature", ""), int(time())
        )


_BEYOND_RESULTS = frozenset({"join", "after"})
"""Parameters by which more is had than the results of a run, or later ones."""


def requester(request: Request) -> str:
    """Who asks, as records name them: never the key itself."""
    del request  # there is one key yet
    return "admin key"


def _is_link(scope: Scope) -> bool:
    """Whether it is a request of the kind that links are signed for."""
    return (
        scope["method"] in ("GET", "HEAD")
        and _RESULTS.fullmatch(scope["path"]) is not None
        and "signature" in QueryParams(scope["query_string"])
        and "authorization" not in Headers(scope=scope)
    )
