"""Connections to receivers, and keeping them open for the next delivery to the same origin.

Not httpcore2's own pool: at each request it looks at every idle connection, with a system call for
each, twice (https://github.com/pydantic/httpx2/pull/1169). With 150 of them 460 requests
a second were measured, and 3,400 with what is here, where a request looks at one or two.
"""

import asyncio
import ssl
from collections import OrderedDict, defaultdict
from typing import Final

import httpcore2
import httpx2

from app.notify.url import Origin

KEPT_MAX: Final = 200
KEPT_S: Final = 30.0
"""How long an idle connection is kept. Receivers that close sooner are noticed."""


class Connection:
    """One HTTP/1.1 connection, for one request at a time."""

    def __init__(self, origin: Origin, stream: httpcore2.AsyncNetworkStream) -> None:
        self.origin = origin
        self._stream = _ListeningStream(stream)
        self._http = httpcore2.AsyncHTTP11Connection(
            httpcore2.Origin(origin.scheme.encode(), origin.host.encode(), origin.port),
            self._stream,
            keepalive_expiry=KEPT_S,
        )

    async def ask(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send a request; the answer's body is still to be read, and to be closed.

        Raises what httpcore2 does, and `ssl.SSLError`; the connection is closed then.
        """
        response = await self._http.handle_async_request(request)
        if not self._stream.has_heard:
            # Bytes behind the previous answer, which were read with it: no answer to this request.
            await self.close()
            raise httpcore2.RemoteProtocolError("an answer came before its request")
        return response

    def is_free(self) -> bool:
        """Whether it can carry another request: the answer was read whole, both keep it open."""
        return self._http.is_idle()

    def is_stale(self) -> bool:
        """Whether an idle one was closed by the receiver, or is idle for too long."""
        return self._http.has_expired()

    async def close(self) -> None:
        """Close it, whatever it is doing."""
        await self._http.aclose()


_InOrder = OrderedDict[Connection, None]


class Connections:
    """Opens connections, and keeps those that are free. Close it after use."""

    def __init__(
        self, network: httpcore2.AsyncNetworkBackend, tls: ssl.SSLContext | None = None
    ) -> None:
        """Without `tls`, the certificates of the system are trusted."""
        self._network = network
        self._tls = tls
        # The one that is idle for longest is first, here and for each origin.
        self._kept: _InOrder = OrderedDict()
        self._kept_of: defaultdict[Origin, _InOrder] = defaultdict(OrderedDict)
        self._is_closed = False

    async def open(self, origin: Origin, timeout_s: float) -> Connection:
        """A new connection. Raises httpcore2.ConnectError or httpcore2.ConnectTimeout."""
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + timeout_s
        stream = await self._network.connect_tcp(origin.host, origin.port, timeout_s)
        if origin.is_tls:
            stream = await self._encrypted(stream, origin, until_s)
        return Connection(origin, stream)

    async def take(self, origin: Origin) -> Connection | None:
        """A kept connection that is fit for a request, if there is one."""
        while (of_origin := self._kept_of.get(origin)) is not None:
            connection = next(reversed(of_origin))  # the latest: the others may come of age
            self._forget(connection)
            if not connection.is_stale():
                return connection
            await connection.close()
        return None

    async def give_back(self, connection: Connection) -> None:
        """Keep it for the next request if it is fit for one, else close it."""
        if self._is_closed or not connection.is_free():
            await connection.close()
            return
        self._kept[connection] = None
        self._kept_of[connection.origin][connection] = None
        oldest = next(iter(self._kept))
        if len(self._kept) > KEPT_MAX or oldest.is_stale():
            self._forget(oldest)
            await oldest.close()

    async def close(self) -> None:
        """Close what is kept, and what is given back from now on."""
        self._is_closed = True
        while self._kept:
            connection, _ = self._kept.popitem()
            await connection.close()
        self._kept_of.clear()

    def _forget(self, connection: Connection) -> None:
        del self._kept[connection]
        of_origin = self._kept_of[connection.origin]
        del of_origin[connection]
        if not of_origin:
            del self._kept_of[connection.origin]

    async def _encrypted(
        self, stream: httpcore2.AsyncNetworkStream, origin: Origin, until_s: float
    ) -> httpcore2.AsyncNetworkStream:
        try:
            if self._tls is None:
                # Not at start, which would wait for it, nor here, where everybody would.
                self._tls = await asyncio.to_thread(httpx2.create_ssl_context, trust_env=False)
            self._tls.set_alpn_protocols(["http/1.1"])
            left_s = max(0.0, until_s - asyncio.get_running_loop().time())
            # The certificate is of the name, wherever the guard has connected to. The dot at the
            # end of an absolute name is not in certificates.
            return await stream.start_tls(self._tls, origin.host.rstrip("."), left_s)
        except BaseException:
            # httpcore2 does so for errors, but not if it is cancelled.
            await stream.aclose()
            raise


class _ListeningStream(httpcore2.AsyncNetworkStream):
    """A stream that knows whether anything was read since something was written."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self.has_heard = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._stream.read(max_bytes, timeout)
        self.has_heard = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self.has_heard = False
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
