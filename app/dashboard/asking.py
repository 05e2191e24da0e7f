"""How pages get what they show: from the API, in process, as whoever is signed in.

So a page can do nothing that its reader could not, everything is checked in one place, and no
answer is worked out twice.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message

from app.api.access import Access
from app.canonical import dumps, parse

Query = Mapping[str, str | int | None] | Iterable[tuple[str, str]]


class RefusedError(Exception):
    """The API answered with a problem: `status`, `title`, and `detail`, which says what to do.

    `pointer` is where in the body that was sent it is, as `#/url`; empty if nowhere in it.
    """

    def __init__(self, status: int, title: str, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.pointer = pointer


class Answer(NamedTuple):
    """A successful answer of the API."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value; None if there is no body."""
        return parse(self.body) if self.body else None


class Api:
    """The API, asked by one request's reader."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self.access = access

    async def get(self, path: str, query: Query = ()) -> Any:
        """The JSON at `/api/v1/{path}`. Raises RefusedError."""
        return (await self.ask("GET", path, query)).json()

    async def post(self, path: str, body: object = None) -> Any:
        """What is answered to a POST with `body` as JSON. Raises RefusedError."""
        return (await self.ask("POST", path, body=body)).json()

    async def check(self, path: str, query: Query = ()) -> None:
        """Whether the file at `/api/v1/{path}` can be had; none of it is made. Raises RefusedError.

        As `get`, for what is streamed: its address can be given to a browser then.
        """
        scope = self._scope("GET", path, query)
        scope["asgi"]["spec_version"] = "2.4"  # by which streams end when nobody listens
        with suppress(ClientDisconnect, _EnoughError):
            await _answer(self._app, scope, b"", stops_at_success=True)

    async def ask(self, method: str, path: str, query: Query = (), body: object = None) -> Answer:
        """Any request to `/api/v1/{path}`; its answer, whole. Raises RefusedError.

        Members of `query` that are None or empty are left out.
        """
        sent = b"" if body is None else dumps(body)
        scope = self._scope(method, path, query)
        if sent:
            scope["headers"] = [(b"content-type", b"application/json")]
        return await _answer(self._app, scope, sent)

    def _scope(self, method: str, path: str, query: Query) -> dict[str, Any]:
        pairs = query.items() if isinstance(query, Mapping) else query
        given = [(name, str(value)) for name, value in pairs if value not in (None, "")]
        url = f"/api/v1/{path}"
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": url,
            "raw_path": quote(url).encode(),
            "query_string": urlencode(given).encode(),
            "root_path": "",
            "headers": [],
            "client": None,
            "server": None,
            "state": {"access": self.access},
        }


class _EnoughError(OSError):
    """What was to be known is known."""


async def _answer(
    app: ASGIApp, scope: dict[str, Any], sent: bytes, *, stops_at_success: bool = False
) -> Answer:
    status, headers, chunks = 0, dict[str, str](), list[bytes]()

    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            if stops_at_success and status < 400:
                raise _EnoughError
            headers.update((name.decode(), value.decode()) for name, value in message["headers"])
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    body = b"".join(chunks)
    if status >= 400:
        problem = parse(body)
        pointer = problem.get("pointer", "")
        raise RefusedError(status, problem["title"], problem["detail"], pointer)
    return Answer(status, headers, body)


def api_of(request: Request) -> Api:
    """The API for whoever is signed in."""
    api: Api = request.state.api
    return api
