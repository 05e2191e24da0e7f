"""One attempt to deliver one callback over HTTP."""

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx2

_RESPONSE_MAX: Final = 1_000
_CONNECTIONS_MAX: Final = 256


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
    proxies have no place in a callback, and it is faster.
    """

    def __init__(self) -> None:
        limits = httpx2.Limits(
            max_connections=_CONNECTIONS_MAX, max_keepalive_connections=_CONNECTIONS_MAX
        )
        self._transport = httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)

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
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._transport.handle_async_request(request)
                try:
                    text = (await response.aread())[:_RESPONSE_MAX].decode(errors="replace")
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.TimeoutException):
            return Attempt(None, None, f"No answer within {timeout_s:g} s.")
        except httpx2.TransportError as error:
            return Attempt(None, None, f"{type(error).__name__}: {error}")
        if response.is_success:
            return Attempt(response.status_code, text, None)
        return Attempt(response.status_code, text, f"HTTP {response.status_code}.")

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
