"""Pages of lists, and other answers in JSON."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from app.canonical import Json, dumps


def answer(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(dumps(value), status, headers, "application/json")


def page(request: Request, data: Sequence[Json], next_cursor: str | None) -> Response:
    """A page of a list, with the way to the next one in the body and as a Link."""
    headers = {}
    if next_cursor is not None:
        url = request.url.include_query_params(cursor=next_cursor)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return answer({"data": list(data), "next_cursor": next_cursor}, headers=headers)
