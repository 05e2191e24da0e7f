"""Who may do what: by a key with the scope, a session of one, or a signed link to results."""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from time import time

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import ADMIN_KEY_ID, SCOPES, Access, Keyring
from app.api.problems import ProblemError, on_unavailable, problem
from app.api.sessions import Sessions
from app.notify.links import LinkSigner
from app.store.protocol import StoreUnavailableError

PROTECTED = "/api/"
_RESULTS = re.compile(r"/api/v1/runs/[^/]+/results")
_LINK = Access("link", "signed link", frozenset({"read"}))

Endpoint = Callable[[Request], Awaitable[Response]]


class ApiKeyMiddleware:
    """Lets requests to `/api/…` through only with a key as `Authorization: Bearer …`.

    What the key opens is then in the state of the request, as `access`: each route says which
    scope it needs. The cookie of a session stands for its key where something is only read. The
    results of a run can also be read by a link that was signed for them, until it expires. The
    dashboard, which asks from within, has put the access of whoever it asks for there itself.
    """

    def __init__(
        self, app: ASGIApp, *, keyring: Keyring, links: LinkSigner, sessions: Sessions
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._links = links
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401, of a link 403, or 503 if keys cannot be looked up."""
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            try:
                access = _LINK if _is_link(scope) else await self._access(scope)
                refusal = self._refusal(scope, access)
            except StoreUnavailableError as error:
                refusal = await on_unavailable(Request(scope), error)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            scope.setdefault("state", {})["access"] = access
        await self._app(scope, receive, send)

    async def _access(self, scope: Scope) -> Access | None:
        from_within: Access | None = scope.get("state", {}).get("access")
        if from_within is not None:
            return from_within
        if "authorization" not in Headers(scope=scope):
            return await self._sessions.access_of(HTTPConnection(scope))
        key = _given_key(scope)
        return await self._keyring.identify(key) if key else None

    def _refusal(self, scope: Scope, access: Access | None) -> Response | None:
        if access is _LINK:
            reason = self._problem_of_link(scope)
            return problem(403, "The link is not valid", reason) if reason else None
        if access is not None:
            return None
        key = _given_key(scope)
        detail = (
            self._keyring.refusal(key)
            if key
            else "send an API key as `Authorization: Bearer …`; the first one is in the file"
            " admin-key of the data folder"
        )
        return problem(401, "Unauthorized", detail, {"WWW-Authenticate": "Bearer"})

    def _problem_of_link(self, scope: Scope) -> str | None:
        query = QueryParams(scope["query_string"])
        if beyond := _BEYOND_RESULTS.intersection(query):
            return f"it opens results alone: leave {', '.join(sorted(beyond))} out"
        return self._links.problem(
            scope["path"], query.get("expires", ""), query.get("signature", ""), int(time())
        )


_BEYOND_RESULTS = frozenset({"join", "after"})
"""Parameters by which more is had than the results of a run, or later ones."""


class ScopedRoute(Route):
    """A route of the API that only opens to keys with a scope."""

    def __init__(self, path: str, endpoint: Endpoint, needs: str, methods: Sequence[str]) -> None:
        """`needs` is one of `SCOPES`."""
        super().__init__(path, _needing(needs, endpoint), methods=methods)
        self.needs = needs


def _needing(needs: str, endpoint: Endpoint) -> Endpoint:
    """The endpoint, behind a look at what the key may. Raises ValueError for no scope."""
    if needs not in SCOPES:
        raise ValueError(f"{needs} is no scope: there are {', '.join(SCOPES)}")

    @wraps(endpoint)
    async def checked(request: Request) -> Response:
        access: Access = request.state.access
        if not access.may(needs):
            has = [scope for scope in SCOPES if scope in access.scopes]
            raise ProblemError(
                403,
                "Forbidden",
                f"this needs a key with the scope {needs}; {requester(request)} has"
                f" {' and '.join(has)}",
                needs=needs,
                has=has,
            )
        return await endpoint(request)

    return checked


def requester(request: Request) -> str:
    """Who asks, as records name them: never the key itself."""
    access: Access = request.state.access
    return access.name if access.key_id == ADMIN_KEY_ID else f"key {access.name}"


def _given_key(scope: Scope) -> str:
    """The key that came with a request; empty if none did."""
    kind, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""


def _is_link(scope: Scope) -> bool:
    """Whether it is a request of the kind that links are signed for."""
    return (
        scope["method"] in ("GET", "HEAD")
        and _RESULTS.fullmatch(scope["path"]) is not None
        and "signature" in QueryParams(scope["query_string"])
        and "authorization" not in Headers(scope=scope)
    )
