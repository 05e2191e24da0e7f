"""`…/reconcile`, `/resume`, `/continue`, `/cancel`: what is asked of Edges for a run."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from app.api.edges_problems import edges_problems
from app.api.pages import answer
from app.api.parameters import Parameters
from app.api.problems import ProblemError
from app.api.resources import resources_of, run_of
from app.model import timestamp
from app.proof import expected_results
from app.reconcile.passing import NotProjectedError
from app.reconcile.reconciler import Action, Reconciler
from app.record import run_record

T = TypeVar("T")

EDGES_WAIT_S = 30.0
"""How long a request waits for Edges, its budget included."""

CONTINUE_PARAMETERS = ("incomplete",)

_FALSE, _TRUE = "false", "true"


def reconciler_of(request: Request) -> Reconciler:
    """The reconciler. Raises a 409 without a key of the Edges API."""
    reconciler = resources_of(request).reconciler()
    if reconciler is None:
        raise ProblemError(
            409,
            "Reconciliation is off",
            "this collector has no key of the Edges API: set COLLECTOR_EDGES_API_KEY, and restart",
        )
    return reconciler


async def reconcile(request: Request) -> Response:
    """Have a run reconciled now; one that is not known here is collected from Edges."""
    Parameters(request, ())
    reconciler = reconciler_of(request)
    run_uid = request.path_params["run_uid"]
    known = await resources_of(request).reader.run(run_uid)
    if known is None:  # else a slip in the uid would make a run of it
        await _asked(reconciler.baseline(run_uid))
    asked_at = timestamp(await reconciler.ask(run_uid))
    return answer({"status": "asked", "run_uid": run_uid, "asked_at": asked_at}, 202)


async def resume(request: Request) -> Response:
    """Have Edges go on with a stopped run."""
    return await _act(request, "resume")


async def cancel(request: Request) -> Response:
    """Have Edges stop a run; what came is kept."""
    return await _act(request, "cancel")


async def continue_(request: Request) -> Response:
    """Have Edges fetch what is new for an incremental run.

    Not before all of what it brought so far is here: Edges may begin to count, and to list,
    anew. `?incomplete=true` goes on all the same.
    """
    parameters = Parameters(request, CONTINUE_PARAMETERS)
    may_lose = parameters.choice("incomplete", (_FALSE, _TRUE)) == _TRUE
    run_uid = (await run_of(request)).run_uid
    run = await _asked(reconciler_of(request).baseline(run_uid))
    if run is not None and run.told is not None and not may_lose:
        missing = (expected_results(run.told) or 0) - run.results
        if missing > 0:
            raise ProblemError(
                409,
                "Results are missing",
                f"{missing} results of run {run_uid} are not here yet, and may be lost once it is"
                " continued. Wait until it is complete (…/reconcile hurries it), or go on with"
                " ?incomplete=true",
                missing=missing,
            )
    return await _act(request, "continue", known=CONTINUE_PARAMETERS)


async def _act(request: Request, action: Action, known: tuple[str, ...] = ()) -> Response:
    Parameters(request, known)
    run = await run_of(request)
    reconciler = reconciler_of(request)
    await _asked(reconciler.act(run.run_uid, action))
    now = await resources_of(request).reader.run(run.run_uid)
    return answer(run_record(now or run), 202)


async def _asked(asking: Awaitable[T]) -> T:
    """What Edges answered. Raises a problem that says what went wrong there."""
    try:
        with edges_problems():
            async with asyncio.timeout(EDGES_WAIT_S):
                return await asking
    except (NotProjectedError, TimeoutError) as error:
        detail = str(error) or (
            f"no answer within {EDGES_WAIT_S:.0f} s: the budget of requests may be used up"
        )
        raise ProblemError(
            503, "Edges cannot answer now", detail, headers={"Retry-After": "60"}
        ) from error
