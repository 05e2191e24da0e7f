"""Has the iterations of schedules launched when they come due by the simulated clock."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from app.simulator.chance import uid
from app.simulator.clock import Clock
from app.simulator.errors import EdgesError
from app.simulator.plan import Plan
from app.simulator.run import Run
from app.simulator.schedule import Schedule

# Moments that one advance of the clock passes, at most.
_MOMENTS_MAX: Final = 10_000
_POLL_S: Final = 0.002


class Scheduler:
    """All schedules, each with a task that waits for its next iteration."""

    def __init__(
        self,
        seed: int,
        clock: Clock,
        launch: Callable[[Schedule], Run],
        is_settled: Callable[[Run], bool],
    ) -> None:
        """`launch` begins a run of a schedule; `is_settled` says if nothing more is sent of it."""
        self._seed = seed
        self._clock = clock
        self._launch = launch
        self._is_settled = is_settled
        self._schedules: dict[str, Schedule] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def schedules(self) -> list[Schedule]:
        """All of them, oldest first, ended ones included."""
        return list(self._schedules.values())

    def schedule(self, schedule_uid: str) -> Schedule:
        """The schedule; raises EdgesError (404) if there is none."""
        try:
            return self._schedules[schedule_uid]
        except KeyError:
            raise EdgesError("STATUS_404", f"There is no schedule {schedule_uid!r}.") from None

    def add(self, plan: Plan) -> Schedule:
        """Begin a schedule."""
        number = len(self._schedules) + 1
        schedule = Schedule(uid(self._seed, "schedule", number), number, plan, self._clock)
        self._schedules[schedule.uid] = schedule
        self.attend(schedule)
        return schedule

    def attend(self, schedule: Schedule) -> None:
        """Wait for the schedule's next iteration anew, after the schedule was changed."""
        if waiting := self._waiting.pop(schedule.uid, None):
            waiting.cancel()
        task = asyncio.get_running_loop().create_task(self._wait(schedule), name=schedule.uid)
        self._waiting[schedule.uid] = task

    async def advance(self, seconds: float, *, settle_s: float = 0.0) -> None:
        """Move the clock on, from one moment that is due to the next.

        At each, wait up to `settle_s` real seconds until what was launched has ended and is
        delivered; else an iteration finds the one before still running, and is skipped.
        Raises EdgesError (400) if there are too many moments; the clock stands at the last.
        """
        target_s = self._clock.now_s() + seconds
        for _ in range(_MOMENTS_MAX):
            due_s = self._next_due_s()
            if due_s is None or due_s > target_s:
                self._clock.move_to(target_s)
                return
            self._clock.move_to(due_s)
            for schedule in self.schedules():
                self._launch_if_due(schedule)
            await self._settle(settle_s)
        raise EdgesError(
            "BAD_PARAMETERS", f"More than {_MOMENTS_MAX} iterations come due in that time."
        )

    async def close(self) -> None:
        """Wait for no iteration any more."""
        for task in self._waiting.values():
            task.cancel()
        await asyncio.gather(*self._waiting.values(), return_exceptions=True)

    async def _wait(self, schedule: Schedule) -> None:
        while schedule.status == "ACTIVE" and schedule.due_at_s is not None:
            await self._clock.wait_until(schedule.due_at_s)
            self._launch_if_due(schedule)
            await asyncio.sleep(0)

    def _launch_if_due(self, schedule: Schedule) -> None:
        if schedule.is_due():
            fate = schedule.next_fate()
            schedule.note(fate, self._launch(schedule) if fate == "launched" else None)

    def _next_due_s(self) -> float | None:
        active = (each for each in self._schedules.values() if each.status == "ACTIVE")
        return min((each.due_at_s for each in active if each.due_at_s is not None), default=None)

    async def _settle(self, settle_s: float) -> None:
        gives_up_at = monotonic() + settle_s
        while monotonic() < gives_up_at and not all(
            self._is_settled(run)
            for each in self._schedules.values()
            if (run := each.last_run) is not None
        ):
            await asyncio.sleep(_POLL_S)
        await asyncio.sleep(0)
