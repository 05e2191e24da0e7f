"""The budget of requests that all routes of runs share."""

from collections import deque
from math import ceil

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from app.simulator.clock import Clock
from app.simulator.scenario import Scenario


class Budget:
    """Requests left in the window that slides along with the simulated clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spent_at: deque[float] = deque()

    def applies_to(self, path: str, scenario: Scenario) -> bool:
        """All routes of runs share it, those of callbacks included."""
        return scenario.requests_per_minute is not None and path.startswith("/v1/runs")

    def spend(self, scenario: Scenario) -> float | None:
        """Spend one request: None, or the seconds to wait until there is one to spend."""
        now, window_s = self._clock.now_s(), scenario.rate_window_s
        while self._spent_at and self._spent_at[0] <= now - window_s:
            self._spent_at.popleft()
        if self._left(scenario) <= 0:
            return self._spent_at[0] + window_s - now
        self._spent_at.append(now)
        return None

    def retry_after(self, wait_s: float) -> str:
        """The wait as a client has to wait it: in whole real seconds, at least one."""
        return str(max(1, ceil(wait_s / (self._clock.rate or 1))))

    def announced(self, send: Send, scenario: Scenario) -> Send:
        """Have the answer say what is left."""
        remaining = str(max(0, self._left(scenario)))

        async def send_with_remaining(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-RateLimit-Remaining"] = remaining
            await send(message)

        return send_with_remaining

    def _left(self, scenario: Scenario) -> int:
        return (scenario.requests_per_minute or 0) - len(self._spent_at)
