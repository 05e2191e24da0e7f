"""The simulated Edges as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from app.simulator.api import actions, callbacks, control, inputs, outputs, runs, schedules
from app.simulator.api.answers import error_answer
from app.simulator.api.gate import Gate
from app.simulator.api.ledger import Ledger
from app.simulator.errors import EdgesError
from app.simulator.scenario import Scenario
from app.simulator.workspace import Workspace


def create_app(scenario: Scenario, *, api_key: str, base_url: str | None = None) -> Starlette:
    """An Edges of its own, with no runs yet: the API under `/v1`, the control plane apart.

    `api_key` is what `X-API-Key` must carry. `base_url` is how clients reach `/v1`
    (links to next pages begin with it); by default, as the request came. The lifespan
    must be run: when it ends, so does all sending of callbacks.
    """
    workspace = Workspace(scenario)
    # /runs/callbacks stands before /runs/{run_uid}, which would match it too.
    routes = [
        *actions.ROUTES,
        *callbacks.ROUTES,
        *runs.ROUTES,
        *inputs.ROUTES,
        *outputs.ROUTES,
        *schedules.ROUTES,
    ]
    ledger = Ledger(routes, workspace.clock)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.workspace = workspace
        app.state.ledger = ledger
        app.state.base_url = base_url
        try:
            yield
        finally:
            await workspace.close()

    v1 = Mount(
        "/v1",
        routes=routes,
        middleware=[Middleware(Gate, workspace=workspace, ledger=ledger, api_key=api_key)],
    )
    return Starlette(
        routes=[v1, Mount("/_simulator", routes=control.ROUTES)],
        exception_handlers={EdgesError: _refuse, HTTPException: _refuse_http},
        lifespan=lifespan,
    )


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, EdgesError)  # noqa: S101 (registered for nothing else)
    return error_answer(error)


async def _refuse_http(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such path (404), or not by this method (405)."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for nothing else)
    what = f"{request.method} {request.url.path}: {error.detail}."
    return error_answer(EdgesError("STATUS_404", what), status_code=error.status_code)
