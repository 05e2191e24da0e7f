"""What the API's handlers work with, handed over by the service that wires it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from app.api.problems import not_found
from app.model import Arrival, Outcome
from app.store.sqlite.reader import SqliteReader
from app.store.views import RunView


@dataclass(frozen=True, slots=True)
class Resources:
    """Shared by all requests; each handler finds it with `resources_of`."""

    reader: SqliteReader
    result_keys: tuple[str, ...]
    store_callback: Callable[[Arrival], Awaitable[Outcome]]
    """Log a callback; returns once it is durable."""
    release: Callable[[str], Awaitable[bool]]
    """Drop an entry of the quarantine."""
    seqs: Callable[[str, str], Awaitable[list[int]]]
    """Where the log has the callback of a run uid and key, and those that conflict with it."""
    waiting: Callable[[], int]
    """How many callbacks wait for the disk."""
    is_draining: Callable[[], bool]
    worker_state: Callable[[], tuple[bool, str]]
    """Whether the worker runs, and a sentence about it."""
    is_reconciling: bool
    ready_lag_s: float
    files: Mapping[str, Path]
    """The database files by name."""


def resources_of(request: Request) -> Resources:
    """The resources of the application that serves `request`."""
    resources: Resources = request.app.state.resources
    return resources


async def run_of(request: Request) -> RunView:
    """The run that the path names. Raises a 404."""
    run_uid = request.path_params["run_uid"]
    run = await resources_of(request).reader.run(run_uid)
    if run is None:
        raise not_found(f"run {run_uid} here; a run shows up with its first callback")
    return run
