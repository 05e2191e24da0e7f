"""What asks Edges, as the settings want it: the client, its budget, runs and schedules."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from app.canonical import digest
from app.model import Arrival, Outcome
from app.reconcile.budget import FairBudget, LocalBudget
from app.reconcile.client import EdgesClient
from app.reconcile.courtesy import Courtesy
from app.reconcile.passing import Progress
from app.reconcile.queue import LEASE_S, LocalQueue, Queue
from app.reconcile.reconciler import Reconciler
from app.reconcile.schedule_poll import SchedulePoller
from app.settings import Settings
from app.store.protocol import Store


class Reconciliation(NamedTuple):
    """Everything that asks Edges, over one client."""

    client: EdgesClient
    reconciler: Reconciler
    poller: SchedulePoller


@asynccontextmanager
async def opened_reconciliation(
    settings: Settings,
    store: Store,
    log_entry: Callable[[Arrival], Awaitable[Outcome]],
    *,
    received: Callable[[], int] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> AsyncIterator[Reconciliation | None]:
    """What asks Edges for an open store, not started yet; None without a key of its API.

    `received` counts the callbacks that it gives way to, if it shares a process with them.
    Raises ValueError for a base URL or a key that can be none.
    """
    if settings.edges_api_key is None:
        yield None
        return
    async with AsyncExitStack() as stack:
        key = settings.edges_api_key.get_secret_value()
        budget, queue = await _shared(settings, key, stack)
        stack.push_async_callback(budget.close)
        client = EdgesClient(str(settings.edges_base_url), key, budget=budget)
        stack.push_async_callback(client.close)
        reconciler = Reconciler(
            store,
            client,
            queue,
            log_entry=log_entry,
            silence_s=settings.reconcile_silence_s,
            concurrency=settings.reconcile_concurrency,
            give_way=None if received is None else Courtesy(received).give_way,
            on_progress=on_progress,
        )
        stack.push_async_callback(reconciler.stop)
        poller = SchedulePoller(
            store, client, every_s=settings.schedule_poll_s, grace_s=settings.schedule_grace_s
        )
        yield Reconciliation(client, reconciler, poller)


async def _shared(settings: Settings, key: str, stack: AsyncExitStack) -> tuple[FairBudget, Queue]:
    """Budget and queue: of this process, or of all replicas on one PostgreSQL."""
    if settings.postgres_url is None:
        return LocalBudget(), LocalQueue()
    from app.store.postgres.budget import SharedBudgetRow  # noqa: PLC0415 - needs the extra
    from app.store.postgres.queue import PostgresQueue  # noqa: PLC0415 - likewise

    # The key itself stays out of the database.
    row = SharedBudgetRow(settings.postgres_url, digest(key.encode()).hex())
    stack.push_async_callback(row.close)
    queue = PostgresQueue(settings.postgres_url, lease_s=LEASE_S)
    stack.push_async_callback(queue.close)
    return FairBudget(row), queue
