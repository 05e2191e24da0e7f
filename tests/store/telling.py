"""A collector that tells events, as far as a store is concerned: what a copy must not repeat."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from app.canonical import dumps
from app.event import Event
from app.record import json_value
from app.settings import Settings
from app.store.database import store_of
from app.store.outbox_rows import EndpointRow, NumberedEvent, SettledTry
from app.store.protocol import Store
from app.store.sink_rows import SinkRow

T = TypeVar("T")

NOW_MS = 1_700_000_000_000


def served(settings: Settings, doing: Callable[[Store], Awaitable[T]]) -> T:
    """What comes of something that is done with an open store."""

    async def serving() -> T:
        store = store_of(settings, on_news=lambda: None)
        await store.open()
        try:
            return await doing(store)
        finally:
            await store.close()

    return asyncio.run(serving())


def begin_telling(settings: Settings, *endpoint_ids: str) -> None:
    """Make an outbox, before anything is logged, with these endpoints."""
    settings.log_path.parent.mkdir(exist_ok=True, parents=True)

    async def beginning(store: Store) -> None:
        for endpoint_id in endpoint_ids:
            await store.outbox.add_endpoint(
                EndpointRow(endpoint_id, "active", None, "{}", f"sealed {endpoint_id}", 1, 2, 3,
                            None, None)
            )  # fmt: skip
            sink = SinkRow(f"sink of {endpoint_id}", "active", "{}", "sealed", 1, 0, None, 2, 3)
            await store.outbox.add_sink(sink)
            await store.outbox.ask_seen(sink, ["run-1", "run-2"], 1, NOW_MS)

    served(settings, beginning)


def told(settings: Settings) -> list[NumberedEvent]:
    """Take over all that was raised; then all events, in order."""

    async def telling(store: Store) -> list[NumberedEvent]:
        while not (await store.outbox.relay(_to_all, NOW_MS)).is_all:
            pass
        return await store.reader.events(after_no=0, limit=10_000)

    return served(settings, telling)


async def _to_all(
    events: Sequence[Event], endpoints: Sequence[EndpointRow]
) -> Sequence[Sequence[str]]:
    return [[row.endpoint_id for row in endpoints]] * len(events)


def deliver(settings: Settings, endpoint_id: str, count: int) -> int:
    """Bring so many due deliveries to an end, every other one badly; how many were due."""

    async def delivering(store: Store) -> int:
        due = await store.outbox.due(endpoint_id, NOW_MS, limit=count, is_ordered=False)
        await store.outbox.settle(
            [
                SettledTry(endpoint_id, one.run_uid, one.delivery_id, one.attempts + 1,
                           one.tries + 1, NOW_MS, 5, 200, None, "fine",
                           "failed" if place % 2 else "delivered", NOW_MS)
                for place, one in enumerate(due)
            ]
        )  # fmt: skip
        return len(due)

    return served(settings, delivering)


def change(settings: Settings, endpoint_id: str, config: str) -> None:
    """Change what is set of an endpoint."""

    async def changing(store: Store) -> None:
        rows = {row.endpoint_id: row for row in await store.outbox.endpoints()}
        assert await store.outbox.change_endpoint(rows[endpoint_id]._replace(config=config))

    served(settings, changing)


def causes(events: Sequence[NumberedEvent]) -> list[bytes]:
    """What each event is about, sorted: the same in every store.

    The id of a conflict has its place in the log, where stores differ.
    """
    return sorted(
        dumps([one.run_uid, one.type, json_value(one.data)["callback_ref_uid"]])
        if one.type == "callback.conflict"
        else one.event_id.encode()
        for _, one in events
    )
