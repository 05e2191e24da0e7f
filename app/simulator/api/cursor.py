"""Pages by cursor: the full URL of the next one in `X-Pagination-Next`, absent on the last."""

from typing import Final

from starlette.requests import Request

from app.simulator.api.parameters import whole_number, workspace_of
from app.simulator.cursors import Cursor
from app.simulator.run import Run

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 500


def page_limit(request: Request, run: Run) -> int:
    """How many items the page holds at most: what was asked for, or fewer without a word.

    Raises EdgesError (400) for a limit that the documentation does not allow.
    """
    limit = whole_number(request, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)
    return min(limit, run.launch.scenario.page_limit_max or LIMIT_MAX)


def read_cursor(request: Request, run: Run, places: int) -> Cursor | None:
    """The place that the request asks to go on from; None for the beginning.

    Raises EdgesError (400) for a cursor that was not made here, or that has expired.
    """
    text = request.query_params.get("cursor")
    if text is None:
        return None
    return workspace_of(request).cursors(run).read(text, places)


def next_page(
    request: Request, run: Run, before: Cursor | None, place: tuple[int, ...]
) -> dict[str, str]:
    """The header that leads to the page that begins at the place; other parameters stay.

    `before` is the cursor that the request came with.
    """
    scenario, page_count = run.launch.scenario, before.page_count + 1 if before else 1
    if scenario.hostile_next_url and page_count >= scenario.hostile_from_page:
        return {"X-Pagination-Next": scenario.hostile_next_url}
    cursor = workspace_of(request).cursors(run).made(Cursor(page_count, place))
    url = request.url.remove_query_params("offset").include_query_params(cursor=cursor)
    base_url: str | None = request.app.state.base_url
    path = request.url.path.removeprefix("/v1")
    link = f"{base_url}{path}?{url.query}" if base_url else str(url)
    return {"X-Pagination-Next": link}
