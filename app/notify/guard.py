"""The socket guard: no webhook reaches an address that was not vetted.

A name is resolved once, all of its addresses are vetted, and the connection goes to a vetted
address, not to the name: a DNS that answers otherwise the second time (rebinding) is not asked a
second time. TLS and the Host header stay with the name, since they are made above of this.
"""

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Final

import httpcore2

from app.notify.addresses import Network, refusal
from app.notify.resolving import Resolver

CONNECT_S_MAX: Final = 10.0
"""How long resolving and connecting may take together, if the caller sets no time-out."""
_ADDRESSES_TRIED_MAX: Final = 4


class RefusedAddressError(httpcore2.ConnectError):
    """A host leads to where webhooks may not go. `host` and `reason` say what and why."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(
            f"{host} leads to where webhooks may not go: {reason}."
            " COLLECTOR_ALLOWED_ENDPOINT_NETWORKS can allow its network,"
            " COLLECTOR_ALLOW_PRIVATE_ENDPOINTS=true allows all"
        )
        self.host = host
        self.reason = reason


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects through `backend` to vetted addresses only; with `allow_private` to all.

    One refused address among several refuses the host: it has no business to be there.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolver: Resolver,
        allowed_networks: Sequence[Network] = (),
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._allowed = tuple(allowed_networks)
        self._resolver = resolver
        self._backend = backend or httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore2 calls it with this)
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address of `host` that accepts one.

        Each address has an equal share of what is left of `timeout` seconds. Raises
        RefusedAddressError, httpcore2.ConnectError (a `socket.gaierror` is its cause if the name
        was not found) or httpcore2.ConnectTimeout.
        """
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + (CONNECT_S_MAX if timeout is None else timeout)
        addresses = await self._vetted(host, port, until_s)
        failures: list[httpcore2.ConnectError | httpcore2.ConnectTimeout] = []
        for position, address in enumerate(addresses):
            share_s = (until_s - now_s()) / (len(addresses) - position)
            try:
                return await self._backend.connect_tcp(
                    address,
                    port,
                    timeout=max(0.0, share_s),
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failures.append(error)
        # The system puts first what it can reach, so that the first failure tells most.
        raise failures[0]

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises httpcore2.ConnectError, always."""
        raise httpcore2.ConnectError(f"{path}: webhooks do not go to Unix sockets")

    async def sleep(self, seconds: float) -> None:
        """Wait, which retries of httpcore2 would do."""
        await self._backend.sleep(seconds)

    async def _vetted(self, host: str, port: int, until_s: float) -> Sequence[str]:
        """Addresses to try, at least one."""
        try:
            async with asyncio.timeout_at(until_s):
                found = await self._resolver(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"the name {host} was not resolved in time") from error
        except OSError as error:
            raise httpcore2.ConnectError(f"{host} was not resolved: {error}") from error
        if not found:
            raise httpcore2.ConnectError(f"{host} has no address")
        if not self._allow_private:
            for address in found:
                reason = refusal(address, self._allowed)
                if reason is not None:
                    raise RefusedAddressError(host, reason)
        # Through the parser, so that nothing but an address can be connected to.
        distinct = dict.fromkeys(str(ip_address(address)) for address in found)
        return list(distinct)[:_ADDRESSES_TRIED_MAX]
