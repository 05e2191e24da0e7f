"""`/api/v1/health`: the collector in figures, for people and their dashboards.

Counts are of this process, since it started. `/readyz` is for load balancers, `/metrics` for
Prometheus.
"""

import asyncio
import platform
import shutil
from time import time

from starlette.requests import Request
from starlette.responses import Response

from app import __version__, observe
from app.api.health import checks_of, lag_of
from app.api.pages import answer
from app.api.parameters import Parameters
from app.api.resources import Resources, resources_of
from app.canonical import Json
from app.model import Outcome, timestamp
from app.recent import SPAN_S
from app.store.protocol import StoreUnavailableError
from app.store.sqlite.driver import SQLITE_VERSION

WAL_RESET_FIXED = (3, 51, 3)
DISK_LEFT_SHARE_MIN = 0.1


async def get_health(request: Request) -> Response:
    """Everything about how it does, also where the store does not answer."""
    Parameters(request, ())
    resources = resources_of(request)
    settings = resources.settings
    checks = await checks_of(resources)
    disk = await asyncio.to_thread(shutil.disk_usage, resources.data_dir)
    return answer(
        {
            "status": "ready" if all(ok for ok, _ in checks.values()) else "not ready",
            "checks": {name: {"ok": ok, "detail": detail} for name, (ok, detail) in checks.items()},
            "callbacks": {
                "outcomes": _outcomes(),
                "recent": {"span_s": SPAN_S, "counts": resources.recent()},
                "waiting": resources.waiting(),
            },
            "event_streams": int(_sample("edges_collector_event_streams")),
            "edges": {
                "key_is_set": settings.edges_api_key is not None,
                "budget_left": resources.edges_budget_left(),
                "budget_wait_s": round(
                    _sample("edges_collector_edges_budget_wait_seconds_total"), 1
                ),
            },
            **await _of_store(resources),
            "disk": {"free_bytes": disk.free, "total_bytes": disk.total},
            "versions": {
                "collector": __version__,
                "python": platform.python_version(),
                "database": resources.store.description,
            },
            "role": settings.role,
            "started_at": timestamp(int(resources.started_s * 1000)),
            "uptime_s": round(time() - resources.started_s),
            "retention": {
                "run_days": settings.run_retention_days,
                "event_days": settings.event_retention_days,
                "export_hours": settings.export_retention_hours,
            },
            "warnings": _warnings(resources, disk.free, disk.total),
        },
        headers={"Cache-Control": "no-store"},
    )


async def _of_store(resources: Resources) -> dict[str, Json]:
    """What only the store can say; nothing of it while the store does not answer."""
    try:
        lag = await lag_of(resources)
        quarantined = await resources.reader.quarantine_size()
        pending = sum((await resources.reader.pending_deliveries()).values())
        sizes = await resources.store.sizes()
    except StoreUnavailableError:
        return {"lag": None, "quarantined": None, "deliveries_pending": None, "database_bytes": {}}
    return {
        "lag": {"callbacks": lag.callbacks, "age_s": round(lag.age_s, 1)},
        "quarantined": quarantined,
        "deliveries_pending": pending,
        "database_bytes": dict(sizes),
    }


def _outcomes() -> dict[str, Json]:
    """Callbacks by what became of them."""
    return dict.fromkeys([*Outcome, "quarantined"], 0) | {
        sample.labels["outcome"]: int(sample.value)
        for metric in observe.CALLBACKS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def _sample(name: str) -> float:
    return observe.REGISTRY.get_sample_value(name) or 0.0


def _warnings(resources: Resources, free: int, total: int) -> list[Json]:
    found: list[Json] = []
    if free < total * DISK_LEFT_SHARE_MIN:
        found.append(
            f"The disk of the data folder has {free / total:.0%} left. Once it is full, callbacks"
            " are refused with 503 and Edges sends them again, for a while: make room, or set"
            " COLLECTOR_RUN_RETENTION_DAYS."
        )
    is_sqlite = resources.settings.postgres_url is None
    if is_sqlite and tuple(map(int, SQLITE_VERSION.split("."))) < WAL_RESET_FIXED:
        found.append(
            f"SQLite {SQLITE_VERSION} has the WAL-reset bug (3.7.0 to 3.51.2), by which a database"
            " that several connections write can be damaged. The collector writes each file through"
            " one connection, and is safe: let no other program write its files while it runs. On"
            " Linux `pip install pysqlite3` brings a newer SQLite."
        )
    return found
