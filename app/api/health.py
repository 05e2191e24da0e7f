"""Health: alive, ready and why not, and the metrics."""

import time

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app import observe
from app.api.pages import answer
from app.api.resources import Resources, resources_of
from app.store.protocol import StoreUnavailableError
from app.store.views import Lag

DAY_MS = 24 * 3_600 * 1_000


async def healthz(request: Request) -> Response:
    """Alive: the event loop answers. The store is not asked."""
    del request
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Ready, with a reason for each check."""
    checks = await checks_of(resources_of(request))
    is_ready = all(ok for ok, _ in checks.values())
    body = {
        "status": "ready" if is_ready else "not ready",
        "checks": {name: {"ok": ok, "detail": detail} for name, (ok, detail) in checks.items()},
    }
    return answer(body, 200 if is_ready else 503, {"Cache-Control": "no-store"})


async def checks_of(resources: Resources) -> dict[str, tuple[bool, str]]:
    """Each check by name: whether it is well, and a sentence about it."""
    return {
        "accepting": (
            not resources.is_draining(),
            "draining before the end" if resources.is_draining() else "requests are taken",
        ),
        "worker": resources.worker_state()
        if resources.is_projecting
        else (True, "none: this replica only receives"),
        **await _store_checks(resources),
    }


async def _store_checks(resources: Resources) -> dict[str, tuple[bool, str]]:
    try:
        lag = await lag_of(resources)
    except StoreUnavailableError as error:
        return {"store": (False, str(error))}
    # A replica that only receives is of use however far the workers of others are behind.
    is_behind = resources.is_projecting and lag.age_s > resources.ready_lag_s
    waiting = f"{lag.callbacks} callbacks wait, the oldest for {lag.age_s:.1f} s"
    return {
        "store": (True, "the database answers"),
        "projection": (not is_behind, waiting if lag.callbacks else "up to date"),
        "reconciliation": (True, _reconciliation(resources)),
        "callback channel": (True, await _channel(resources)),
        "endpoints": (True, await _endpoints(resources)),
    }


def _reconciliation(resources: Resources) -> str:
    """Never a reason to send callbacks elsewhere, but one to look."""
    reconciler = resources.reconciler()
    if reconciler is None:
        return (
            "off: without COLLECTOR_EDGES_API_KEY, failed inputs are known from callbacks alone"
            " and no run is proven complete"
        )
    return f"on, but: {reconciler.problem}" if reconciler.problem else "on"


async def _channel(resources: Resources) -> str:
    """What share of the last day's results came by callback, as far as Edges was asked."""
    share = await resources.reader.callback_share(time.time_ns() // 1_000_000 - DAY_MS)
    if not share.results:
        return "no result of the last day has been compared with what Edges has"
    return (
        f"{share.by_callback / share.results:.2%} of the last day's {share.results:,} results came"
        " by callback"
    )


async def _endpoints(resources: Resources) -> str:
    """Like the channel, a reason to look and none to send callbacks elsewhere."""
    rows = await resources.store.outbox.endpoints()
    if not rows:
        return "none: events are told at /api/v1/events alone"
    pending = sum((await resources.reader.pending_deliveries()).values())
    disabled = sum(row.state == "disabled" for row in rows)
    failing = sum(row.state == "active" and row.failing_since_ms is not None for row in rows)
    return f"{len(rows)}, {failing} failing, {disabled} disabled; {pending:,} deliveries wait"


async def metrics(request: Request) -> Response:
    """Everything measured, as Prometheus text."""
    resources = resources_of(request)
    lag = await lag_of(resources)
    observe.PROJECTION_LAG_CALLBACKS.set(lag.callbacks)
    observe.PROJECTION_LAG_SECONDS.set(lag.age_s)
    observe.QUARANTINED.set(await resources.reader.quarantine_size())
    observe.DELIVERIES_PENDING.set(sum((await resources.reader.pending_deliveries()).values()))
    observe.LOG_WAITING.set(resources.waiting())
    for part, size in (await resources.store.sizes()).items():
        observe.DATABASE_BYTES.labels(part).set(size)
    return Response(generate_latest(observe.REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def lag_of(resources: Resources) -> Lag:
    """How far the worker is behind the log. Raises StoreUnavailableError."""
    return await resources.reader.lag(time.time_ns() // 1_000_000)
