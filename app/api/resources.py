"""What the API's handlers work with, handed over by the service that wires it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from app.api.access import Keyring
from app.api.problems import not_found
from app.demo import Demo
from app.export.jobs import ExportFolder
from app.model import Arrival, Outcome
from app.notify.composing import Composed
from app.notify.live import LiveEvents
from app.notify.sealing import Seal
from app.reconcile.reconciler import Reconciler
from app.reconcile.schedules import ScheduleApi
from app.settings import Settings
from app.store.outbox import Addressed
from app.store.outbox_rows import DueDelivery, EndpointRow
from app.store.protocol import Store
from app.store.reader import Reader
from app.store.views import RunView


@dataclass(frozen=True, slots=True)
class Resources:
    """Shared by all requests; each handler finds it with `resources_of`."""

    settings: Settings
    store: Store
    result_keys: tuple[str, ...]
    data_dir: Path
    """Where files go that an answer needs on its way."""
    store_callback: Callable[[Arrival], Awaitable[Outcome]]
    """Log a callback; returns once it is durable."""
    waiting: Callable[[], int]
    """How many callbacks wait for the disk."""
    is_draining: Callable[[], bool]
    worker_state: Callable[[], tuple[bool, str]]
    """Whether the worker runs, and a sentence about it."""
    is_projecting: bool
    """Whether this replica has a worker."""
    reconciler: Callable[[], Reconciler | None]
    """None without a key of the Edges API."""
    schedule_api: Callable[[], ScheduleApi | None]
    """Edges, for what is to be changed there; None without a key of its API."""
    ready_lag_s: float
    base_url: str
    """Where this collector is reached."""
    seal: Seal
    """Opens and closes the secrets of endpoints."""
    allows_plain_urls: bool
    """Whether endpoints may be reached without TLS."""
    has_mail: bool
    """Whether endpoints may be mailboxes."""
    live: Callable[[], LiveEvents]
    """Events as they happen."""
    addressed: Addressed
    """Which endpoints want which events."""
    compose: Callable[[EndpointRow, DueDelivery], Awaitable[Composed]]
    """What is sent of a delivery; raises PrunedError once its event is gone."""
    wake_deliveries: Callable[[], None]
    """Say that endpoints changed, or that something is to be delivered."""
    export_folder: ExportFolder
    wake_exports: Callable[[], None]
    """Say that a file was asked for."""
    wake_erasing: Callable[[], None]
    """Say that an erasure was asked for."""

    sink_dir: Path | None
    """Below it sinks may write files."""
    wake_sinks: Callable[[], None]
    """Say that sinks changed, or that a run is to be written."""
    keyring: Keyring
    """The keys that open this collector."""

    ingest_token: str
    """What a callback must carry."""
    demo: Demo
    recent: Callable[[], list[int]]
    """Callbacks that came lately, as `RecentCounts.list` has them."""
    edges_budget_left: Callable[[], int | None]
    """Requests that Edges would still take in this minute, as far as it told."""
    started_s: float
    """When this process began, in Unix time."""

    @property
    def reader(self) -> Reader:
        """The store's reading side."""
        return self.store.reader


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
