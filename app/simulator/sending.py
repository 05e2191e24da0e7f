"""One attempt to deliver one callback over HTTP."""

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx2

_RESPONSE_MAX: Final = 1_000
# A pool of one: going through a large pool costs more than the request itself.
_ONE_CONNECTION: Final = httpx2.Limits(max_connections=1, max_keepalive_connections=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of an attempt: an HTTP status, or None and what went wrong."""

    http_status: int | None
    http_response: str | None
    failure: str | None

    @property
    def is_delivered(self) -> bool:
        """Only a 2xx counts."""
        return self.failure is None


class Sender:
    """Connections to the receivers, reused. Close it after use.

    The transport is used without a client: redirects, cookies and the environment's
    proxies have no place in a callback, and it is a third faster.
    """

    def __init__(self) -> None:
        self._idle: list[httpx2.AsyncHTTPTransport] = []

    async def send(
        self, url: str, headers: dict[str, str], body: bytes, *, timeout_s: float
    ) -> Attempt:
        """POST the body as JSON, once."""
        request = httpx2.Request(
            "POST",
            url,
            headers={"content-type": "application/json", "user-agent": "Edges"} | _lower(headers),
            content=body,
            extensions={"timeout": httpx2.Timeout(timeout_s).as_dict()},
        )
        transport = self._idle.pop() if self._idle else _transport()
        try:
            async with asyncio.timeout(timeout_s):
                response = await transport.handle_async_request(request)
                try:
                    text = (await response.aread())[:_RESPONSE_MAX].decode(errors="replace")
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.TimeoutException):
            return Attempt(None, None, f"No answer within {timeout_s:g} s.")
        except httpx2.TransportError as error:
            return Attempt(None, None, f"{type(error).__name__}: {error}")
        finally:
            self._idle.append(transport)
        if response.is_success:
            return Attempt(response.status_code, text, None)
        return Attempt(response.status_code, text, f"HTTP {response.status_code}.")

    async def close(self) -> None:
        """Close all connections."""
        for transport in self._idle:
            await transport.aclose()


def _transport() -> httpx2.AsyncHTTPTransport:
    return httpx2.AsyncHTTPTransport(limits=_ONE_CONNECTION, trust_env=False)


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
