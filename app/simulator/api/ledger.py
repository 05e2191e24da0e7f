"""What was asked of the API, so that tests can tell how frugal a client is."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.routing import Match, Route
from starlette.types import Message, Scope, Send

from app.simulator.callback import moment
from app.simulator.clock import Clock

Json = dict[str, Any]

_KEPT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and the status of its answer; None if there was none."""

    at_s: float
    method: str
    path: str
    query: str
    route: str
    status: int | None


class Ledger:
    """Counts requests by route and by status, and keeps the last ten thousand."""

    def __init__(self, routes: Sequence[Route], clock: Clock) -> None:
        self._routes = routes
        self._clock = clock
        self._by_route: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()
        self._last: deque[Asked] = deque(maxlen=_KEPT_MAX)

    def clear(self) -> None:
        """Begin to count anew."""
        self._by_route.clear()
        self._by_status.clear()
        self._last.clear()

    def counts(self) -> Json:
        """Requests since the beginning."""
        return {
            "total": self._by_route.total(),
            "by_route": dict(self._by_route),
            "by_status": dict(self._by_status),
        }

    def last(self) -> Iterator[Json]:
        """The last requests, oldest first."""
        for each in self._last:
            yield {
                "at": moment(each.at_s),
                "method": each.method,
                "path": each.path,
                "query": each.query,
                "route": each.route,
                "status": each.status,
            }

    def entry(self, scope: Scope) -> "Entry":
        """An entry for a request that has come; write it when it is answered."""
        return Entry(self, scope, self._clock.now_s(), self._route_of(scope))

    def write(self, asked: Asked) -> None:
        """Take note of a request."""
        self._by_route[asked.route] += 1
        self._by_status[str(asked.status)] += 1
        self._last.append(asked)

    def _route_of(self, scope: Scope) -> str:
        for route in self._routes:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                return f"{scope['method']} {route.path}"
        return "unknown"


class Entry:
    """A request on its way: notes the status of its answer."""

    def __init__(self, ledger: Ledger, scope: Scope, at_s: float, route: str) -> None:
        self._ledger = ledger
        self._asked = (at_s, scope["method"], scope["path"], scope["query_string"].decode(), route)
        self.status: int | None = None
        """That of the answer, as far as it is known."""

    def noting(self, send: Send) -> Send:
        """Pass the answer on, and note its status."""

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            await send(message)

        return send_and_note

    def write(self) -> None:
        """Write it into the ledger."""
        self._ledger.write(Asked(*self._asked, self.status))
