"""Pages by cursor: the full URL of the next one in `X-Pagination-Next`, absent on the last."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from starlette.requests import Request

from app.simulator.errors import EdgesError

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 500


def read_cursor(request: Request, places: int) -> tuple[int, ...] | None:
    """The place that the request asks to go on from; None for the beginning.

    Raises EdgesError (400) for a cursor that was not made here.
    """
    text = request.query_params.get("cursor")
    if text is None:
        return None
    try:
        place = tuple(int(part) for part in urlsafe_b64decode(text).decode().split("."))
    except ValueError:
        place = ()
    if len(place) != places or min(place) < 0:
        raise EdgesError("BAD_PARAMETERS", "The cursor is not valid.", parameter="cursor")
    return place


def next_page(request: Request, *place: int) -> dict[str, str]:
    """The header that leads to the page that begins at the place; other parameters stay."""
    cursor = urlsafe_b64encode(".".join(map(str, place)).encode()).decode()
    url = request.url.remove_query_params("offset").include_query_params(cursor=cursor)
    base_url: str | None = request.app.state.base_url
    path = request.url.path.removeprefix("/v1")
    link = f"{base_url}{path}?{url.query}" if base_url else str(url)
    return {"X-Pagination-Next": link}
