"""All that one simulated Edges holds: its runs, their callbacks, and what may be done to them."""

from collections.abc import Iterable, Iterator
from typing import Final

from app.simulator.callback import Callback
from app.simulator.chance import uid
from app.simulator.clock import Clock
from app.simulator.cursors import Cursors
from app.simulator.delivery import Delivery
from app.simulator.errors import EdgesError
from app.simulator.launch import Launch
from app.simulator.run import Run
from app.simulator.scenario import Scenario
from app.simulator.schedule import Schedule
from app.simulator.scheduler import Scheduler
from app.simulator.sending import Sender

_DAY_S: Final = 86_400


class Workspace:
    """Runs and callbacks by uid. Uids come from the seed and the order of the launches."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        """How the API behaves, and what launches begin from; may be replaced at any time."""
        self.clock = Clock(rate=scenario.clock_rate, starts_at=scenario.clock_starts_at)
        self._seed = scenario.seed
        self.uid = uid(scenario.seed, "workspace")
        self.user_uid = uid(scenario.seed, "user")
        self.runs: dict[str, Run] = {}
        self.callbacks: dict[str, Callback] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._cursors: dict[str, Cursors] = {}
        self._archived: set[str] = set()
        self._sender = Sender()
        self.scheduler = Scheduler(
            scenario.seed,
            self.clock,
            launch=lambda schedule: self.launch(schedule.plan.launch, schedule),
            is_settled=lambda run: self.delivery(run).is_settled,
        )

    def launch(self, launch: Launch, schedule: Schedule | None = None) -> Run:
        """Begin a run, by itself or as the next iteration of a schedule."""
        number = len(self.runs) + 1
        run = Run(
            uid(self._seed, "run", number),
            number,
            launch,
            self.clock,
            scheduled_run_uid=schedule.uid if schedule else None,
            first_round=schedule.first_round() if schedule else 0,
        )
        self.runs[run.uid] = run
        self._cursors[run.uid] = Cursors(launch.scenario, self.clock)
        self._deliveries[run.uid] = Delivery(run, self._sender, self._register)
        self._deliveries[run.uid].start()
        return run

    def run(self, run_uid: str) -> Run:
        """The run; raises EdgesError (404) if there is none, or it is archived."""
        run = self.runs.get(run_uid)
        if run is None or self.is_archived(run):
            raise EdgesError("STATUS_404", f"There is no run {run_uid!r}.")
        return run

    def any_run(self, run_uid: str) -> Run:
        """The run, archived or not; raises EdgesError (404) if there never was one."""
        run = self.runs.get(run_uid)
        if run is None:
            raise EdgesError("STATUS_404", f"There never was a run {run_uid!r}.")
        return run

    def callback(self, callback_uid: str) -> Callback:
        """The callback; raises EdgesError (404) if there is none, or its run is archived."""
        callback = self.callbacks.get(callback_uid)
        if callback is None or self.is_archived(callback.run):
            raise EdgesError("STATUS_404", f"There is no callback {callback_uid!r}.")
        return callback

    def listed_runs(self) -> Iterator[Run]:
        """The runs that are not archived, oldest first."""
        return (run for run in self.runs.values() if not self.is_archived(run))

    def listed_callbacks(self) -> Iterable[Callback]:
        """The callbacks of runs that are not archived, oldest first."""
        listed = {run.uid for run in self.listed_runs()}
        if len(listed) == len(self.runs):
            return self.callbacks.values()
        return (each for each in self.callbacks.values() if each.run.uid in listed)

    def is_archived(self, run: Run) -> bool:
        """Whether the API has forgotten the run: it is too old, or was archived by hand."""
        if run.uid in self._archived:
            return True
        age_s = self.clock.now_s() - run.created_at.timestamp()
        return age_s >= self.scenario.archive_after_days * _DAY_S

    def archive(self, run: Run) -> None:
        """Have the API forget the run."""
        self._archived.add(run.uid)

    def cursors(self, run: Run) -> Cursors:
        """The cursors of the run's lists."""
        return self._cursors[run.uid]

    def delivery(self, run: Run) -> Delivery:
        """What makes and sends the run's callbacks."""
        return self._deliveries[run.uid]

    def cancel(self, run: Run) -> None:
        """Stop the run. Attempts under way end by themselves; no other one begins."""
        run.stop()

    def resume(self, run: Run) -> None:
        """Let a stopped run go on."""
        run.resume()
        self.delivery(run).start()

    def continue_(self, run: Run) -> None:
        """Let an incremental run that has ended fetch what is new."""
        run.continue_()
        self.delivery(run).start()

    def add_results(self, run: Run, *, silently: bool) -> None:
        """Another round for a run of any kind that has ended; silently: at once, uncalled for.

        Raises EdgesError if it still goes on.
        """
        run.continue_(is_forced=True)
        if silently:
            while run.make_page():
                pass
        else:
            self.delivery(run).start()

    def replay(self, callback: Callback) -> Callback:
        """Send a callback again, under a new record."""
        return self.delivery(callback.run).replay(callback)

    async def close(self) -> None:
        """End all schedules and deliveries and close all connections."""
        await self.scheduler.close()
        for delivery in self._deliveries.values():
            await delivery.close()
        await self._sender.close()

    def _register(self, callback: Callback) -> None:
        self.callbacks[callback.uid] = callback
