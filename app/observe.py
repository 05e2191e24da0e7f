"""Logs and metrics: how they are named and shaped. Never a body, never a secret."""

import logging
import sys
from typing import Any, Literal

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.model import Outcome

REGISTRY = CollectorRegistry()

CALLBACKS = Counter(
    "edges_collector_callbacks",
    "Callbacks by what became of them.",
    ["outcome"],
    registry=REGISTRY,
)
OUTCOMES = {outcome: CALLBACKS.labels(outcome.value) for outcome in Outcome}
COMMITS = Counter("edges_collector_commits", "Group commits.", registry=REGISTRY)
LOG_STATEMENTS = Counter(
    "edges_collector_log_statements",
    "Statements that the log sent to PostgreSQL, each a round trip.",
    registry=REGISTRY,
)
COMMIT_CALLBACKS = Histogram(
    "edges_collector_commit_callbacks",
    "Callbacks to a group commit.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048),
    registry=REGISTRY,
)
COMMIT_SECONDS = Gauge(
    "edges_collector_commit_seconds", "What a group commit takes lately.", registry=REGISTRY
)
LOG_WAITING = Gauge(
    "edges_collector_log_waiting", "Callbacks that wait for the disk.", registry=REGISTRY
)
PROJECTION_LAG_CALLBACKS = Gauge(
    "edges_collector_projection_lag_callbacks",
    "Callbacks logged and not projected yet.",
    registry=REGISTRY,
)
PROJECTION_LAG_SECONDS = Gauge(
    "edges_collector_projection_lag_seconds",
    "Age of the oldest callback that is not projected yet.",
    registry=REGISTRY,
)
DATABASE_BYTES = Gauge(
    "edges_collector_database_bytes", "Size on disk.", ["part"], registry=REGISTRY
)
SCHEDULE_POLLS = Counter(
    "edges_collector_schedule_polls",
    "Times that Edges was asked for all schedules, by what came of it.",
    ["outcome"],
    registry=REGISTRY,
)
SCHEDULES_MISSED = Counter(
    "edges_collector_schedules_missed",
    "Iterations of schedules that should have brought a run and did not.",
    registry=REGISTRY,
)
ERASED = Counter(
    "edges_collector_erased_arrivals",
    "What came in again of what was erased: callbacks and answers of Edges that were dropped"
    " (of an erased run), or changed (they named an erased person).",
    ["what"],
    registry=REGISTRY,
)
QUARANTINED = Gauge("edges_collector_quarantined", "Bodies in quarantine.", registry=REGISTRY)
EDGES_REQUESTS = Counter(
    "edges_collector_edges_requests",
    "Requests to the Edges API, retries included, by route and by what came of them.",
    ["route", "outcome"],
    registry=REGISTRY,
)
EDGES_BUDGET_WAIT_SECONDS = Counter(
    "edges_collector_edges_budget_wait_seconds",
    "Seconds that requests to the Edges API waited for the workspace's budget.",
    registry=REGISTRY,
)
EDGES_BUDGET_LEFT = Gauge(
    "edges_collector_edges_budget_left",
    "Requests that the Edges API would still take in this minute, as last told.",
    registry=REGISTRY,
)
RECONCILED = Counter(
    "edges_collector_reconciled",
    "Passes over a run, by how they ended.",
    ["outcome"],
    registry=REGISTRY,
)
LOST = Counter(
    "edges_collector_callbacks_lost",
    "What callbacks did not bring by themselves, found by reconciling: results and inputs.",
    ["what"],
    registry=REGISTRY,
)


SINK_RUNS = Counter(
    "edges_collector_sink_runs",
    "Runs written to standing sinks, by outcome of the try.",
    ["outcome"],
    registry=REGISTRY,
)
EVENTS = Counter("edges_collector_events", "Events by type.", ["type"], registry=REGISTRY)
DELIVERIES = Counter(
    "edges_collector_deliveries",
    "Tries to deliver an event to an endpoint, by what became of the delivery.",
    ["outcome"],
    registry=REGISTRY,
)
DELIVERIES_PENDING = Gauge(
    "edges_collector_deliveries_pending", "Deliveries that are to be made.", registry=REGISTRY
)
SSE_CLIENTS = Gauge(
    "edges_collector_event_streams", "Clients that follow events live.", registry=REGISTRY
)


def configure_logging(level: str, style: Literal["json", "console"] | None) -> None:
    """Send all logs, those of libraries too, to stderr in one shape.

    Tracebacks come without variables: there are keys, secrets and bodies in them.
    """
    is_console = style == "console" or (style is None and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_console:
        last: list[Any] = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        last = [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(
                serializer=lambda event, **_: orjson.dumps(event, default=str).decode()
            ),
        ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, _for_stdlib],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("httpx2").setLevel("WARNING")
    logging.getLogger("asyncio").setLevel("WARNING")


def _for_stdlib(logger: Any, name: str, event: Any) -> Any:
    return structlog.stdlib.ProcessorFormatter.wrap_for_formatter(logger, name, event)
