"""Asking the system for the addresses of a name, without holding anybody else up."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""From host and port to addresses, best first. Raises OSError if there is none."""

# Whoever names an endpoint also chooses how slowly its name is resolved, and a lookup cannot be
# called off. In threads of their own such lookups delay no one but other webhooks.
_THREADS_MAX: Final = 16


class SystemResolver:
    """What `getaddrinfo` says, in all the forms that it understands. Close it after use."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Addresses of a host; a Resolver."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _addresses, host, port)

    def close(self) -> None:
        """Start no more lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except UnicodeError as error:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, f"not a host name ({error})") from error
    return [str(address[0]) for *_, address in found]
