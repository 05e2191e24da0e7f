"""The outputs of a run: all results that it hands out, whatever its callbacks came to."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.api.answers import listing
from app.simulator.api.cursor import next_page, page_limit, read_cursor
from app.simulator.api.parameters import run_of, whole_number
from app.simulator.outputs import Position, page_of_outputs


async def list_outputs(request: Request) -> Response:
    """GET /runs/{run_uid}/outputs."""
    run = run_of(request)
    limit = page_limit(request, run)
    skip = whole_number(request, "offset", 0, 0, 10**9)
    cursor = read_cursor(request, run, 3)
    start = Position(*cursor.place) if cursor else Position()
    rows, after = page_of_outputs(run, start, skip, limit)
    if after is None:
        return listing(rows)
    place = (after.round_number, after.input_index, after.offset)
    return listing(rows, headers=next_page(request, run, cursor, place))


ROUTES = [Route("/runs/{run_uid}/outputs", list_outputs)]
