"""First steps: where Edges is to call, a callback to try it with, and a demo to look at."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import Api, RefusedError, api_of
from app.dashboard.pages import redirected, render, signed_in

PATH = "/first-steps"
RUNS_SHOWN = 5
PLACEHOLDER = "YOUR-INGEST-TOKEN"
ACTION = "linkedin-extract-people"
EXAMPLE = {
    "callback_ref_uid": "first-steps-1",
    "run": {"run_uid": "first-steps", "action_name": "sent-by-hand", "status": "SUCCEEDED"},
    "input": {"linkedin_profile_url": "https://www.linkedin.com/in/example"},
    "custom_data": {"row_id": "row-1"},
    "results": [{"full_name": "Ada Example", "job_title": "Engineer"}],
}


@signed_in
async def first_steps(request: Request) -> Response:
    """The page."""
    return await _page(request)


@signed_in
async def show_token(request: Request) -> Response:
    """The page, with the ingest token on it: a POST, so that no link shows it."""
    told = await api_of(request).post("ingest/token")
    return await _page(request, token=told["token"])


@signed_in
async def start_demo(request: Request) -> Response:
    """Launch the demo's run, which is then seen on the page."""
    try:
        await api_of(request).post("demo")
    except RefusedError as error:
        return await _page(request, error.status, demo_problem=error.detail)
    return redirected(request, f"{PATH}#arrived")


@signed_in
async def arrived(request: Request) -> Response:
    """The runs that came in last: a part of the page, asked for anew as they do."""
    api = api_of(request)
    runs, demo = await _last_runs(api), await api.get("demo")
    return render(request, "first_steps_runs.html", runs=runs, demo=demo)


async def steps_of(api: Api, token: str | None = None) -> dict[str, Any]:
    """What the steps are made of; `token` where somebody asked to see it."""
    ingest = await api.get("ingest")
    headers = {"Authorization": f"Bearer {token or PLACEHOLDER}"}
    launch = {
        "inputs": [
            {
                "linkedin_profile_url": "https://www.linkedin.com/in/example",
                "custom_data": {"row_id": "row-1"},
            }
        ],
        "callback": {"url": ingest["url"], "headers": headers, "on": "all"},
    }
    launch_url = f"{ingest['edges_base_url']}/actions/{ACTION}/run/async"
    return {
        "ingest": ingest,
        "token": token,
        "demo": await api.get("demo"),
        "demo_problem": None,
        "send_line": _curl(ingest["url"], headers, EXAMPLE),
        "launch_line": _curl(launch_url, {"X-API-Key": "YOUR-EDGES-API-KEY"}, launch),
    }


async def _page(
    request: Request, status: int = 200, *, token: str | None = None, demo_problem: str = ""
) -> Response:
    api = api_of(request)
    context = await steps_of(api, token) | {"demo_problem": demo_problem}
    return render(request, "first_steps.html", status, **context, runs=await _last_runs(api))


async def _last_runs(api: Api) -> list[dict[str, Any]]:
    query: dict[str, str | int | None] = {"limit": RUNS_SHOWN, "sort": "-updated"}
    page = await api.get("runs", query)
    found: list[dict[str, Any]] = page["data"]
    return found


def _curl(url: str, headers: Mapping[str, str], body: Mapping[str, object]) -> str:
    """A command that posts `body`, to be pasted into any shell."""
    given = {**headers, "Content-Type": "application/json"}
    lines = [f"curl -X POST {shlex.quote(url)}"]
    lines += [f"  -H {shlex.quote(f'{name}: {value}')}" for name, value in given.items()]
    members = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in body.items()]
    text = "{" + ",\n       ".join(members) + "}"
    lines.append(f"  -d {shlex.quote(text)}")
    return " \\\n".join(lines)
