"""What requests share: JSON bodies, the run of a path, limits, offsets, sorting."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

import orjson
from starlette.requests import Request

from app.simulator.errors import EdgesError
from app.simulator.run import Run
from app.simulator.workspace import Workspace

T = TypeVar("T")


def workspace_of(request: Request) -> Workspace:
    """The workspace that the application serves."""
    workspace: Workspace = request.app.state.workspace
    return workspace


def read_json(text: bytes, what: str) -> Any:
    """The value; raises EdgesError (400 BAD_INPUT) if it is not JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise EdgesError("BAD_INPUT", f"{what} is not JSON: {error}") from error


def run_of(request: Request) -> Run:
    """The run that the path names; raises EdgesError (404) if there is none any more."""
    return workspace_of(request).run(request.path_params["run_uid"])


def page_of(request: Request, *, limit_max: int) -> slice:
    """What part of a list `limit` and `offset` ask for, capped as the scenario says."""
    limit = whole_number(request, "limit", min(10, limit_max), 1, limit_max)
    limit = min(limit, workspace_of(request).scenario.page_limit_max or limit)
    offset = whole_number(request, "offset", 0, 0, 10**9)
    return slice(offset, offset + limit)


def whole_number(request: Request, name: str, default: int, lowest: int, highest: int) -> int:
    """A parameter within bounds, both included; raises EdgesError (400) otherwise."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        raise EdgesError(
            "BAD_PARAMETERS",
            f"{name} must be a whole number from {lowest} to {highest}, not {text!r}.",
            parameter=name,
        )
    return int(text)


def one_of(request: Request, name: str, choices: Collection[str]) -> set[str]:
    """The values of a repeatable parameter, all if none is given; raises EdgesError (400)."""
    given = set(request.query_params.getlist(name))
    if unknown := given.difference(choices):
        raise EdgesError("BAD_PARAMETERS", f"{name} cannot be {min(unknown)!r}.", parameter=name)
    return given or set(choices)


def in_order(
    request: Request, items: Iterable[T], keys: dict[str, Callable[[T], str | int | float]]
) -> Iterable[T]:
    """The items sorted as `sort` asks (`-` for descending); as they are without it."""
    sort = request.query_params.get("sort")
    if sort is None:
        return items
    key = keys.get(sort.removeprefix("-"))
    if key is None:
        raise EdgesError(
            "BAD_PARAMETERS", f"sort must be one of {', '.join(keys)}.", parameter="sort"
        )
    return sorted(items, key=key, reverse=sort.startswith("-"))
