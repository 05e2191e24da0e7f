"""One request to the Edges API and its answer: bounded, within the budget, tried again if safe."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import time
from typing import Any, Final, TypeVar

import httpx2
import stamina

from app.budget import read_retry_after
from app.canonical import Json
from app.observe import EDGES_REQUESTS
from app.reconcile.answers import NotJsonError, read_refusal
from app.reconcile.budget import Budget
from app.reconcile.errors import (
    AnswerShapeError,
    AnswerTooLargeError,
    EdgesRefusedError,
    EdgesUnavailableError,
    KeyRefusedError,
    NotFoundError,
    OutcomeUnknownError,
)

T = TypeVar("T")

MIB: Final = 1024 * 1024
ANSWER_BYTES_MAX: Final = 64 * MIB
_ERROR_BYTES_MAX: Final = MIB
_CONNECTIONS_MAX: Final = 16
# Of these there was no connection to send the request over.
_UNSENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that each phase of a request may take, and all of it."""

    connect_s: float = 10.0
    read_s: float = 30.0
    """Between two pieces of an answer."""
    write_s: float = 30.0
    pool_s: float = 30.0
    """For a connection to become free."""
    total_s: float = 60.0
    """After twice as long the budget gives a request up for lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often, and after how long, a call tries again by itself."""

    attempts: int = 4
    """The first one included."""
    wait_first_s: float = 0.5
    """Doubles each time, up to `wait_max_s`; up to `jitter_s` are added by chance."""
    wait_max_s: float = 8.0
    jitter_s: float = 0.5
    retry_after_max_s: float = 30.0
    """A longer `Retry-After` is not waited for, but told to the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked, for whom, and under which name it is counted."""

    method: str
    url: httpx2.URL
    route: str
    run_uid: str
    """Whose turn it takes in the budget."""
    content: bytes | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx, whole."""

    url: httpx2.URL
    headers: Mapping[str, str]
    body: bytes


class _FailedError(Exception):
    """No usable answer; another try may get one."""

    def __init__(
        self, reason: str, *, had_no_effect: bool, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.had_no_effect = had_no_effect
        self.retry_after_s = retry_after_s


class Exchange:
    """Sends requests with the API key, over connections that are reused. Close it after use."""

    def __init__(self, api_key: str, budget: Budget, timeouts: Timeouts, retries: Retries) -> None:
        if not api_key or not all("!" <= character <= "~" for character in api_key):
            # The HTTP library would say so too, and quote the key.
            raise ValueError(
                "COLLECTOR_EDGES_API_KEY is empty, or has blanks or other characters that no header"
                " may carry"
            )
        self._api_key = api_key
        self._budget = budget
        self._total_s = timeouts.total_s
        self._retries = retries
        # Neither proxies nor a .netrc of the environment, no redirects, no cookies: the key
        # goes where the settings say, and nowhere else.
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(
                connect=timeouts.connect_s,
                read=timeouts.read_s,
                write=timeouts.write_s,
                pool=timeouts.pool_s,
            ),
            limits=httpx2.Limits(
                max_connections=_CONNECTIONS_MAX, max_keepalive_connections=_CONNECTIONS_MAX
            ),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(self, call: Call, read: Callable[[Answer], T]) -> T:
        """What `read` makes of the answer. It raises NotJsonError, or TypeError for a wrong shape.

        Raises what `app.reconcile.errors` has, and what `Budget.spend` does. A GET is tried
        again whatever happened, what changes something only where it surely had no effect.
        """
        bounds = self._retries
        attempts = stamina.retry_context(
            on=self._wait_before_next(call),
            attempts=bounds.attempts,
            timeout=None,  # each attempt and each wait is bounded; waiting for the budget is apart
            wait_initial=bounds.wait_first_s,
            wait_max=bounds.wait_max_s,
            wait_jitter=bounds.jitter_s,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    return await self._attempt(call, read)
        except _FailedError as failed:
            if call.method != "GET" and not failed.had_no_effect:
                raise OutcomeUnknownError(
                    f"{call}: {failed}; whether it had its effect is not known: look how the run"
                    " stands before you try again"
                ) from failed
            raise EdgesUnavailableError(
                f"{call}: {failed}; try again later", retry_after_s=failed.retry_after_s
            ) from failed
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_next(self, call: Call) -> Callable[[Exception], bool | float]:
        """Whether another try is safe, and after how many seconds if Edges has said."""

        def wait(error: Exception) -> bool | float:
            if not isinstance(error, _FailedError):
                return False
            if call.method != "GET" and not error.had_no_effect:
                return False
            if error.retry_after_s is None:
                return True
            if error.retry_after_s > self._retries.retry_after_max_s:
                return False
            # Chance only keeps callers apart, nobody gains by guessing it.
            return error.retry_after_s + random.uniform(0, self._retries.jitter_s)  # noqa: S311

        return wait

    async def _attempt(self, call: Call, read: Callable[[Answer], T]) -> T:
        status, headers, body = await self._sent(call)
        if status in (408, 429) or status >= 500:
            retry_after_s = read_retry_after(headers.get("retry-after"), time())
            raise _FailedError(
                f"HTTP {status}, {_words(read_refusal(status, body))}",
                had_no_effect=status == 429 or (status == 503 and retry_after_s is not None),
                retry_after_s=retry_after_s,
            )
        if not 200 <= status < 300:
            raise _refusal(call, status, headers, body)
        try:
            return read(Answer(call.url, headers, body))
        except NotJsonError as error:
            raise _FailedError(f"HTTP {status} with {error}", had_no_effect=False) from error
        except TypeError as error:
            raise AnswerShapeError(f"{call}: {error}") from error

    async def _sent(self, call: Call) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one answer to one request. Raises _FailedError."""
        ticket = await self._budget.spend(call.run_uid)
        status, outcome = 0, "network"
        headers: Mapping[str, str] = {}
        try:
            async with asyncio.timeout(self._total_s):
                response = await self._http.send(self._request(call), stream=True)
                try:
                    status, headers = response.status_code, response.headers
                    body = await _read(call, response)
                finally:
                    await response.aclose()
            outcome = _outcome(status)
            return status, headers, body  # noqa: TRY300
        except TimeoutError as error:
            raise _FailedError(f"no answer in {self._total_s:g} s", had_no_effect=False) from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            what = f"{type(error).__name__} {error}".strip()
            raise _FailedError(
                f"the answer was cut or did not come ({what})",
                had_no_effect=isinstance(error, _UNSENT),
            ) from error
        finally:
            EDGES_REQUESTS.labels(call.route, outcome).inc()
            await self._budget.learn(status, headers, ticket)

    def _request(self, call: Call) -> httpx2.Request:
        headers: dict[str, Any] = {"X-API-Key": self._api_key}
        if call.content is not None:
            headers["Content-Type"] = "application/json"
        return self._http.build_request(
            call.method, call.url, headers=headers, content=call.content
        )


async def _read(call: Call, response: httpx2.Response) -> bytes:
    """The body, inflated. Of a refusal as much as can be of use."""
    bytes_max = ANSWER_BYTES_MAX if response.is_success else _ERROR_BYTES_MAX
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > bytes_max:
            if not response.is_success:
                break
            raise AnswerTooLargeError(
                f"{call}: the answer has more than {bytes_max // MIB} MiB, which no page should:"
                " ask for fewer items a page"
            )
    return bytes(body)


def _refusal(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> EdgesRefusedError:
    error = read_refusal(status, body)
    said = f"{call}: Edges refused with HTTP {status}, {_words(error)}"
    if status == 404:
        return NotFoundError(
            f"{said}; it is unknown, or was archived after 90 days", status=status, error=error
        )
    if status in (401, 403):
        return KeyRefusedError(f"{said}; check COLLECTOR_EDGES_API_KEY", status=status, error=error)
    if status < 400:
        said = (
            f"{call}: Edges redirects (HTTP {status}) to {headers.get('location', '')[:200]!r},"
            " which is not followed: check COLLECTOR_EDGES_BASE_URL"
        )
    return EdgesRefusedError(said, status=status, error=error)


def _words(error: Mapping[str, Json]) -> str:
    return f"{error['label']}: {str(error['message'])[:300]}"


def _outcome(status: int) -> str:
    if 200 <= status < 300:
        return "ok"
    return "429" if status == 429 else f"{status // 100}xx"
