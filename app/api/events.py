"""`/api/v1/events`: what happened, as a list or as a live stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import lru_cache

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import bad_parameter, not_found
from app.api.resources import resources_of
from app.event import PROGRESS, EventType
from app.notify.cloud_event import cloud_event
from app.notify.live import PROGRESS_RUNS_MAX, READ_AT_ONCE, Followed, Progress
from app.store import cursor
from app.store.outbox_rows import NumberedEvent
from app.store.protocol import StoreUnavailableError

LIST_PARAMETERS = ("after", "types", "run_uid", "newest_first", "limit", "cursor")
PING_S = 15
SEND_TIMEOUT_S = 30
"""A client that takes nothing for so long is cut off, and goes on where it was."""

RETRY_MS = 2_000
_BEHIND_ALL = 2**62
"""No event has so large a number."""
LOOK_UP_S = 5.0
"""How often a live stream looks whether its key still opens anything."""


async def list_events(request: Request) -> Response:
    """Events in the order in which they happened; live, where an event stream is accepted."""
    parameters = Parameters(request, LIST_PARAMETERS)
    types = _types(parameters)
    if "text/event-stream" in request.headers.get("accept", ""):
        return await _stream(request, parameters, types)
    reader = resources_of(request).reader
    newest_first = parameters.flag("newest_first")
    kind = "events back" if newest_first else "events"
    given, after = parameters.text("cursor"), parameters.text("after")
    place = cursor.decode(kind, given, (int,))[0] if given else None
    after_no, before_no = place or 0, None
    if newest_first:
        after_no, before_no = 0, _BEHIND_ALL if place is None else place
    if after is not None and (newest_first or not given):
        after_no = await _number(request, after)
    limit = parameters.limit()
    found = await reader.events(
        after_no=after_no,
        before_no=before_no,
        limit=limit + 1,
        types=types or (),
        run_uid=parameters.text("run_uid"),
    )
    next_cursor = None
    if len(found) > limit:
        next_cursor = cursor.encode(kind, (found[limit - 1].event_no,))
    source = resources_of(request).base_url
    records = [orjson.Fragment(envelope(one, source)) for one in found[:limit]]
    return page(request, records, next_cursor)


async def get_event(request: Request) -> Response:
    """One event."""
    Parameters(request, ())
    resources, event_id = resources_of(request), request.path_params["event_id"]
    event_no = await resources.reader.event_no(event_id)
    found = []
    if event_no is not None:
        found = await resources.reader.events(after_no=event_no - 1, limit=1)
    if not found:
        raise not_found(f"event {event_id} here, or not any more")
    return answer(orjson.Fragment(envelope(found[0], resources.base_url)))


def envelope(one: NumberedEvent, source: str) -> bytes:
    """An event as everybody is told it."""
    return cloud_event(
        event_id=one.event.event_id,
        event_type=one.event.type,
        source=source,
        subject=one.event.subject,
        time_ms=one.event.time_ms,
        data=orjson.Fragment(one.event.data),
    )


async def _stream(
    request: Request, parameters: Parameters, types: Sequence[str] | None
) -> Response:
    for name in ("cursor", "limit", "newest_first"):
        if parameters.text(name) is not None:
            raise bad_parameter(name, "a live stream does not take it")
    live = resources_of(request).live()
    after_no = None
    if (after := parameters.text("after")) is not None:
        after_no = await _number(request, after)
    if last_id := request.headers.get("last-event-id"):
        # A browser would give up at an error: what it has not seen may be all that is kept.
        after_no = await resources_of(request).reader.event_no(last_id) or 0
    keyring, key_id = resources_of(request).keyring, request.state.access.key_id

    async def is_open() -> bool:
        try:
            return await keyring.by_id(key_id) is not None
        except StoreUnavailableError:
            return True  # as it was, until somebody can say

    followed = _while_open(live.follow(after_no, types, parameters.text("run_uid")), is_open)
    return EventSourceResponse(
        _sent(followed, resources_of(request).base_url),
        ping=PING_S,
        send_timeout=SEND_TIMEOUT_S,
        sep="\n",
        headers={"X-Accel-Buffering": "no"},
    )


async def _while_open(
    followed: AsyncGenerator[Followed, None], is_open: Callable[[], Awaitable[bool]]
) -> AsyncIterator[Followed]:
    """What is followed, until a look every `LOOK_UP_S` finds that it is not to be any more."""
    async with aclosing(followed):
        while True:
            upcoming = asyncio.ensure_future(anext(followed, None))
            try:
                while not upcoming.done():
                    await asyncio.wait([upcoming], timeout=LOOK_UP_S)
                    if not await is_open():
                        return
            finally:
                upcoming.cancel()
                await asyncio.wait([upcoming])
            portion = upcoming.result()
            if portion is None:
                return
            yield portion


async def _sent(followed: AsyncIterator[Followed], source: str) -> AsyncIterator[bytes]:
    yield ServerSentEvent(comment="events follow", retry=RETRY_MS, sep="\n").encode()
    async for portion in followed:
        parts = [_told(one, source) for one in portion.events]
        parts += [_progressed(one) for one in portion.progress]
        yield b"".join(parts)


@lru_cache(maxsize=READ_AT_ONCE)
def _told(one: NumberedEvent, source: str) -> bytes:
    """An event of a stream; encoded once for all who follow."""
    data, kind = envelope(one, source).decode(), one.event.type
    return ServerSentEvent(data, event=kind, id=one.event.event_id, sep="\n").encode()


@lru_cache(maxsize=2 * PROGRESS_RUNS_MAX)
def _progressed(one: Progress) -> bytes:
    return ServerSentEvent(one.data.decode(), event=PROGRESS, sep="\n").encode()


def _types(parameters: Parameters) -> list[str] | None:
    given = parameters.text("types")
    if given is None:
        return None
    known = [*EventType, PROGRESS]
    types = given.split(",")
    for name in types:
        if name not in known:
            raise bad_parameter("types", f"there is no type {name[:50]}; known: {', '.join(known)}")
    return types


async def _number(request: Request, event_id: str) -> int:
    number = await resources_of(request).reader.event_no(event_id)
    if number is None:
        raise bad_parameter(
            "after",
            "there is no such event, or not any more: begin without it, and compare with"
            " what you have",
        )
    return number
