"""Sending a webhook once, to a receiver that may be slow, broken or hostile.

It is spoken with httpcore2 itself, a layer below httpx2, at a thousand deliveries a second: there
are no redirects to follow, no proxies of the environment, no cookies to keep, no answers to
unpack, and no line in the log with a URL that may hold a secret, unless somebody wrote them here.
"""

import asyncio
import ssl
import traceback
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from time import perf_counter, time
from typing import Final

import httpcore2
import structlog

from app import __version__
from app.notify.addresses import Network
from app.notify.answer import read_answer
from app.notify.attempt import ANSWER_BYTES_MAX, Attempt
from app.notify.connections import Connection, Connections
from app.notify.failures import problem_of
from app.notify.framing import FRAMING_HEADERS
from app.notify.guard import CONNECT_S_MAX, GuardedBackend
from app.notify.harmless import harmless
from app.notify.resolving import Resolver, SystemResolver
from app.notify.url import Target, check_url, target_of

__all__ = ["IN_FLIGHT_MAX", "WebhookClient", "check_url"]

log = structlog.get_logger("webhook")

IN_FLIGHT_MAX: Final = 2_000
"""How many requests are under way at most; others wait for their turn, within their time."""

# By its status the receiver has answered. What it says besides is of use, but not worth waiting
# for, and is read on for so long only to have the connection free for the next delivery.
_BODY_S_MAX: Final = 2.0
_BODY_BYTES_MAX: Final = 64 * 1024

_USER_AGENT: Final = f"edges-collector/{__version__}".encode()

# How a kept connection looks that the receiver closed, or that had bytes of an earlier answer.
_UNFIT: Final = (httpcore2.ReadError, httpcore2.RemoteProtocolError)


class WebhookClient:
    """Posts to receivers, over connections that are reused. Close it after use.

    `allow_private` lets it go to all addresses, `allowed_networks` to these besides public ones.
    `timeout_s` bounds an attempt from its start to the last byte of the answer that is read.
    `resolver` and `tls` are the system's unless given.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        allowed_networks: Sequence[Network] = (),
        timeout_s: float = 15.0,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._system = SystemResolver()
        guard = GuardedBackend(
            allow_private=allow_private,
            allowed_networks=allowed_networks,
            resolver=resolver or self._system,
        )
        self._connections = Connections(guard, tls)
        self._turns = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def close(self) -> None:
        """Close the connections that are kept. Attempts under way close theirs as they end."""
        await self._connections.close()
        self._system.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Send `body` once, and tell what came of it. Raises nothing but CancelledError.

        Headers that frame the request (`Host`, `Content-Length` and the like) are its own:
        those in `headers` are left out. If a kept connection turns out to be closed, the request
        goes out again over a new one: the receiver tells a repetition by its `webhook-id`.
        """
        began_s = perf_counter()
        try:
            attempt = await self._attempt(target_of(url), headers, body)
        except ValueError as error:
            attempt = Attempt(is_delivered=False, took_ms=0, problem=str(error))
        return attempt._replace(took_ms=round((perf_counter() - began_s) * 1000))

    async def _attempt(self, target: Target, headers: Mapping[str, str], content: bytes) -> Attempt:
        """Raises ValueError for headers that cannot be sent."""
        request = _request(target, headers, content)
        until_s = asyncio.get_running_loop().time() + self._timeout_s
        try:
            await self._turn(until_s)
            try:
                connection, response = await self._answered(target, request, until_s)
                body = await self._body(connection, response, until_s)
                return read_answer(response.status, response.headers, body, time())
            finally:
                self._turns.release()
        except Exception as error:
            known = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError)
            if not isinstance(error, (*known, ssl.SSLError)):
                # Not log.exception, which shows variables: there are secrets in them.
                trace = traceback.format_exception(error)
                log.error("webhook failed unexpectedly", host=target.origin.host, trace=trace)  # noqa: TRY400
            problem = problem_of(error, target.origin, self._timeout_s)
            return Attempt(is_delivered=False, took_ms=0, problem=problem)

    async def _turn(self, until_s: float) -> None:
        try:
            async with asyncio.timeout_at(until_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise httpcore2.PoolTimeout from error

    async def _answered(
        self, target: Target, request: httpcore2.Request, until_s: float
    ) -> tuple[Connection, httpcore2.Response]:
        """An answer without its body, and the connection that it comes over."""
        kept = await self._connections.take(target.origin)
        if kept is not None:
            try:
                return kept, await _asked(kept, request, until_s)
            except _UNFIT:
                pass
        left_s = until_s - asyncio.get_running_loop().time()
        fresh = await self._connections.open(target.origin, min(left_s, CONNECT_S_MAX))
        return fresh, await _asked(fresh, request, until_s)

    async def _body(
        self, connection: Connection, response: httpcore2.Response, until_s: float
    ) -> bytes:
        """The beginning of the body, as it came. The connection is kept or closed."""
        body = bytearray()
        now_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(until_s, now_s + _BODY_S_MAX)):
                async with aclosing(response.aiter_stream()) as pieces:
                    async for piece in pieces:
                        body += piece
                        if len(body) > _BODY_BYTES_MAX:
                            break
        except (TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError):
            pass  # the status has come, and decides
        finally:
            await response.aclose()
            await self._connections.give_back(connection)
        return bytes(body[:ANSWER_BYTES_MAX])


async def _asked(
    connection: Connection, request: httpcore2.Request, until_s: float
) -> httpcore2.Response:
    try:
        async with asyncio.timeout_at(until_s):
            return await connection.ask(request)
    except TimeoutError as error:
        raise httpcore2.ReadTimeout from error


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> httpcore2.Request:
    head = [
        (b"Host", target.host_header),
        (b"User-Agent", _USER_AGENT),
        (b"Accept-Encoding", b"identity"),
        (b"Content-Length", b"%d" % len(body)),
    ]
    for name, value in headers.items():
        if name.lower() not in FRAMING_HEADERS:
            try:
                head.append((name.encode("ascii"), value.encode("ascii")))
            except UnicodeEncodeError:
                raise ValueError(f"header {harmless(name)!r} has letters beyond ASCII") from None
    return httpcore2.Request("POST", target.url, headers=head, content=body)
