"""`/api/v1/demo`: a run of a simulated Edges, for newcomers to look at."""

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer
from app.api.parameters import Parameters
from app.api.problems import ProblemError
from app.api.resources import Resources, resources_of
from app.canonical import Json
from app.demo import DemoBusyError, DemoError


async def get_demo(request: Request) -> Response:
    """Whether there can be one, and the last one's run."""
    Parameters(request, ())
    return answer(_record(resources_of(request)))


async def start_demo(request: Request) -> Response:
    """Launch one."""
    Parameters(request, ())
    resources = resources_of(request)
    if refusal := _refusal(resources):
        raise ProblemError(409, "There is no demo here", refusal)
    try:
        await resources.demo.start()
    except DemoBusyError as error:
        raise ProblemError(409, "A demo is going on", str(error)) from None
    except DemoError as error:
        raise ProblemError(503, "The demo cannot be run", str(error)) from None
    return answer(_record(resources), 202)


def _record(resources: Resources) -> dict[str, Json]:
    refusal = _refusal(resources)
    return {
        "is_available": refusal is None,
        "refusal": refusal,
        "is_going": resources.demo.is_going,
        "run_uid": resources.demo.run_uid,
    }


def _refusal(resources: Resources) -> str | None:
    if resources.settings.edges_api_key is not None:
        return (
            "COLLECTOR_EDGES_API_KEY is set, so that Edges would be asked about a run which it does"
            " not know. Launch a real one, or run edges-collector demo on any machine"
        )
    if resources.settings.role == "work":
        return "this replica takes no callbacks (COLLECTOR_ROLE=work): ask one that does"
    if resources.is_draining():
        return "the collector is about to end"
    return None
