"""A schedule: what it launches, when, and what came of each moment that was due."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from app.simulator.chance import happens
from app.simulator.clock import Clock
from app.simulator.errors import EdgesError
from app.simulator.plan import Plan
from app.simulator.run import Run

STATUSES: Final = ("ACTIVE", "CANCELLED", "PAUSED", "COMPLETED")


@dataclass(frozen=True, slots=True)
class Iteration:
    """What came of one moment that was due. A skipped or missed one has no run."""

    due_at_s: float
    fate: Literal["launched", "skipped", "missed"]
    run: Run | None


class Schedule:
    """One schedule. Who launches its runs, and when, is `scheduler`'s concern."""

    def __init__(self, uid: str, number: int, plan: Plan, clock: Clock) -> None:
        self.uid = uid
        self.number = number
        self.plan = plan
        self.status = "ACTIVE"
        self.iterations: list[Iteration] = []
        self.created_at = self.updated_at = clock.now()
        self.last_run: Run | None = None
        """The run of the last iteration that was launched."""
        self._clock = clock
        self.due_at_s = plan.timing.next_after(clock.now_s())
        """When the next iteration is due, if the schedule is active."""

    @property
    def last_executed_at(self) -> datetime | None:
        """When that run was launched."""
        return self.last_run.created_at if self.last_run else None

    @property
    def next_execution_at(self) -> datetime | None:
        """When the next iteration is due; None if none is awaited."""
        if self.status != "ACTIVE" or self.due_at_s is None:
            return None
        return datetime.fromtimestamp(self.due_at_s, UTC)

    def is_due(self) -> bool:
        """Whether an iteration is due."""
        return (
            self.status == "ACTIVE"
            and self.due_at_s is not None
            and self.due_at_s <= self._clock.now_s()
        )

    def next_fate(self) -> Literal["launched", "skipped", "missed"]:
        """What becomes of the iteration that is due."""
        scenario = self.plan.launch.scenario
        at = (self.number, len(self.iterations))
        if happens(scenario.missed_share, scenario.seed, "missed", *at):
            return "missed"
        still_runs = self.last_run is not None and not self.last_run.is_final
        return "skipped" if still_runs else "launched"

    def first_round(self) -> int:
        """Where the next run begins: one that is incremental goes on after the last one."""
        last = self.last_run
        if last is None or not self.plan.launch.is_incremental:
            return 0
        return last.rounds[-1].number + 1

    def note(self, fate: Literal["launched", "skipped", "missed"], run: Run | None) -> None:
        """Take note of what became of the iteration that was due, and await the next."""
        assert self.due_at_s is not None  # noqa: S101 (asked `is_due` first)
        self.iterations.append(Iteration(self.due_at_s, fate, run))
        self.last_run = run or self.last_run
        if self.plan.timing.cron is None:
            self._turn("COMPLETED")
        else:
            self.due_at_s = self.plan.timing.next_after(self.due_at_s)

    def pause(self) -> None:
        """Have no iterations until it is resumed. Raises EdgesError unless it is active."""
        self._require(("ACTIVE",), "paused")
        self._turn("PAUSED")

    def resume(self) -> None:
        """Go on; what came due meanwhile is not made up for. Raises EdgesError if not paused."""
        self._require(("PAUSED",), "resumed")
        self._turn("ACTIVE")

    def delete(self) -> None:
        """End it; it is still listed. Raises EdgesError if it has ended."""
        self._require(("ACTIVE", "PAUSED"), "deleted")
        self._turn("CANCELLED")

    def update(self, plan: Plan) -> None:
        """Go by another plan from now on. Raises EdgesError if it has ended."""
        self._require(("ACTIVE", "PAUSED"), "updated")
        self.plan = plan
        self._turn(self.status)

    def _require(self, allowed: tuple[str, ...], what: str) -> None:
        if self.status not in allowed:
            raise EdgesError(
                "BAD_PARAMETERS",
                f"A schedule that is {self.status} cannot be {what}.",
                status=self.status,
            )

    def _turn(self, status: str) -> None:
        self.status = status
        self.updated_at = self._clock.now()
        goes_on = status in ("ACTIVE", "PAUSED")
        self.due_at_s = self.plan.timing.next_after(self._clock.now_s()) if goes_on else None
