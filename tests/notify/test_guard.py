"""The socket guard over real sockets: what connects, what is refused, and what is never asked."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import httpcore2
import pytest

from app.notify.guard import GuardedBackend, RefusedAddressError
from app.notify.resolving import Resolver, SystemResolver
from tests.notify.names import Names
from tests.notify.receiver import Receiver, receiving

pytestmark = pytest.mark.anyio

HERE = "127.0.0.2"
"""Stands for a public address, by being allowed; all else of this machine stands for a private."""


def guarded(
    resolver: Resolver, *, backend: httpcore2.AsyncNetworkBackend | None = None
) -> GuardedBackend:
    return GuardedBackend(
        allow_private=False,
        allowed_networks=[ip_network(HERE)],
        resolver=resolver,
        backend=backend,
    )


@asynccontextmanager
async def public_and_private() -> AsyncIterator[tuple[Receiver, Receiver]]:
    """Two receivers on one port, at the address that is allowed and at one that is not."""
    async with (
        receiving() as private,
        receiving(host=HERE, port=private.port) as public,
    ):
        yield public, private


async def connected(guard: GuardedBackend, host: str, port: int, timeout_s: float = 30.0) -> str:
    """The address that a host's connection leads to."""
    stream = await guard.connect_tcp(host, port, timeout_s)
    address: str = stream.get_extra_info("server_addr")[0]
    await stream.aclose()
    await asyncio.sleep(0.02)  # for the receiver to have counted it
    return address


async def test_a_name_is_resolved_once_and_its_vetted_address_connected_to() -> None:
    names = Names([HERE], ["127.0.0.1"])
    async with public_and_private() as (public, private):
        assert await connected(guarded(names), "hooks.test", public.port) == HERE
        assert names.asked == ["hooks.test"]
        assert (public.connections, private.connections) == (1, 0)


async def test_a_name_that_becomes_private_is_refused_at_the_next_connection() -> None:
    guard = guarded(Names([HERE], ["127.0.0.1"]))
    async with public_and_private() as (public, private):
        await connected(guard, "hooks.test", public.port)
        with pytest.raises(RefusedAddressError):
            await connected(guard, "hooks.test", public.port)
        await asyncio.sleep(0.02)
        assert (public.connections, private.connections) == (1, 0)


@pytest.mark.parametrize("answer", [[HERE, "127.0.0.1"], ["127.0.0.1", HERE], [HERE, "::1"]])
async def test_one_refused_address_among_several_refuses_the_name(answer: list[str]) -> None:
    async with public_and_private() as (public, private):
        with pytest.raises(RefusedAddressError):
            await connected(guarded(Names(answer)), "hooks.test", public.port)
        await asyncio.sleep(0.02)
        assert (public.connections, private.connections) == (0, 0)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1"),
        *("017700000001", "0", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"),
        *(
            "0:0:0:0:0:0:0:1",
            "localhost",
            "LOCALHOST",
            "fe80::1%lo",
            "169.254.169.254",
            "0xa9fea9fe",
        ),
    ],
)
async def test_every_form_of_an_address_is_judged_as_what_it_resolves_to(host: str) -> None:
    resolver = SystemResolver()
    async with receiving() as private:
        try:
            with pytest.raises(httpcore2.ConnectError) as refused:
                await connected(guarded(resolver), host, private.port)
        finally:
            resolver.close()
        await asyncio.sleep(0.005)
        assert private.connections == 0
    # A resolver may as well not know a form. These are the ones that none may doubt.
    if host in ("127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"):
        assert isinstance(refused.value, RefusedAddressError)
        assert "loopback" in refused.value.reason


async def test_a_refusal_names_host_reason_and_settings() -> None:
    with pytest.raises(RefusedAddressError) as refused:
        await guarded(Names(["10.0.0.5"])).connect_tcp("hooks.test", 443, 1.0)
    assert refused.value.host == "hooks.test"
    assert refused.value.reason == "10.0.0.5 is a private address"
    for part in (
        "hooks.test",
        "10.0.0.5",
        "COLLECTOR_ALLOW_PRIVATE_ENDPOINTS",
        "COLLECTOR_ALLOWED_ENDPOINT_NETWORKS",
    ):
        assert part in str(refused.value)


async def test_the_next_address_is_tried_if_one_does_not_connect() -> None:
    guard = GuardedBackend(
        allow_private=False,
        allowed_networks=[ip_network("127.0.0.0/29")],
        resolver=Names(["127.0.0.3", "127.0.0.4", HERE]),
    )
    async with receiving(host=HERE) as receiver:
        assert await connected(guard, "hooks.test", receiver.port) == HERE


class _Blackhole(httpcore2.AnyIOBackend):
    """Swallows what goes to one address."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        if host == "127.0.0.1":
            await asyncio.sleep(timeout or 60)
            raise httpcore2.ConnectTimeout
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)


async def test_an_address_that_swallows_everything_leaves_time_for_the_next() -> None:
    guard = GuardedBackend(
        allow_private=True, resolver=Names(["127.0.0.1", HERE]), backend=_Blackhole()
    )
    async with receiving(host=HERE) as receiver:
        assert await connected(guard, "hooks.test", receiver.port, 0.2) == HERE


async def test_resolving_is_bounded_by_the_time_to_connect() -> None:
    guard = guarded(Names([HERE], delay_s=60))
    with pytest.raises(httpcore2.ConnectTimeout, match=r"hooks\.test was not resolved in time"):
        await guard.connect_tcp("hooks.test", 443, 0.05)


@pytest.mark.parametrize(
    ("resolver", "said"),
    [
        (Names(), "Name or service not known"),
        (Names([]), "has no address"),
        (Names(["not-an-address"]), "not an IP address"),
    ],
)
async def test_a_name_without_an_address_is_an_error_of_connecting(
    resolver: Names, said: str
) -> None:
    with pytest.raises(httpcore2.ConnectError, match=said):
        await guarded(resolver).connect_tcp("hooks.test", 443, 1.0)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".test"])
async def test_what_cannot_be_a_name_is_an_error_of_connecting(host: str) -> None:
    resolver = SystemResolver()
    with pytest.raises(httpcore2.ConnectError, match="not a host name"):
        await guarded(resolver).connect_tcp(host, 443, 1.0)
    resolver.close()


@pytest.mark.parametrize("allow_private", [False, True])
async def test_unix_sockets_are_refused_always(allow_private: bool, tmp_path: Path) -> None:
    guard = GuardedBackend(allow_private=allow_private, resolver=Names())
    path = tmp_path / "socket"
    server = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), path)
    with pytest.raises(httpcore2.ConnectError, match="Unix"):
        await guard.connect_unix_socket(str(path))
    server.close()


async def test_all_addresses_are_open_if_private_ones_are_allowed() -> None:
    guard = GuardedBackend(allow_private=True, resolver=Names(["127.0.0.1"]))
    async with receiving() as receiver:
        assert await connected(guard, "hooks.test", receiver.port) == "127.0.0.1"
