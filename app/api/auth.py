"""Who may read: whoever has a key, a session of the dashboard, or a signed link to results."""

import re
from time import time

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import Access, Keyring
from app.api.problems import problem
from app.api.sessions import Sessions
from app.notify.links import LinkSigner

PROTECTED = "/api/"
_RESULTS = re.compile(r"/api/v1/runs/[^/]+/results")


class ApiKeyMiddleware:
    """Lets requests to `/api/…` through only with a key as `Authorization: Bearer …`.

    The cookie of a session stands for its key where something is only read. The results of a run
    can also be read by a link that was signed for them, until it expires. The dashboard, which asks
    from within, says who is asking for whom (`access` in the state of the scope).
    """

    def __init__(
        self, app: ASGIApp, *, keyring: Keyring, links: LinkSigner, sessions: Sessions
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._links = links
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401 or 403."""
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            if _is_link(scope):
                problem_of_link = self._problem_of_link(scope)
                if problem_of_link is not None:
                    refusal = problem(403, "The link is not valid", problem_of_link)
                    await refusal(scope, receive, send)
                    return
            else:
                access = await self._access(scope)
                if access is None:
                    refusal = problem(
                        401,
                        "Unauthorized",
                        "send an API key as `Authorization: Bearer …`; the first one is in the file"
                        " admin-key of the data folder",
                        {"WWW-Authenticate": "Bearer"},
                    )
                    await refusal(scope, receive, send)
                    return
                scope.setdefault("state", {})["access"] = access
        await self._app(scope, receive, send)

    async def _access(self, scope: Scope) -> Access | None:
        from_within: Access | None = scope.get("state", {}).get("access")
        if from_within is not None:
            return from_within
        connection = HTTPConnection(scope)
        given = connection.headers.get("authorization")
        if given is None:
            return await self._sessions.access_of(connection)
        kind, _, key = given.partition(" ")
        return await self._keyring.identify(key.strip()) if kind.lower() == "bearer" else None

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
    access: Access = request.state.access
    return access.name


def _is_link(scope: Scope) -> bool:
    """Whether it is a request of the kind that links are signed for."""
    return (
        scope["method"] in ("GET", "HEAD")
        and _RESULTS.fullmatch(scope["path"]) is not None
        and "signature" in QueryParams(scope["query_string"])
        and "authorization" not in Headers(scope=scope)
    )
