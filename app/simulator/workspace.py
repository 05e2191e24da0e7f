"""All that one simulated Edges holds: its runs, their callbacks, and what may be done to them."""

from app.simulator.callback import Callback
from app.simulator.chance import uid
from app.simulator.delivery import Delivery
from app.simulator.errors import EdgesError
from app.simulator.launch import Launch
from app.simulator.run import Run
from app.simulator.scenario import Scenario
from app.simulator.sending import Sender


class Workspace:
    """Runs and callbacks by uid. Uids come from the seed and the order of the launches."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.uid = uid(scenario.seed, "workspace")
        self.user_uid = uid(scenario.seed, "user")
        self.runs: dict[str, Run] = {}
        self.callbacks: dict[str, Callback] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._sender = Sender()

    def launch(self, launch: Launch) -> Run:
        """Begin a run."""
        number = len(self.runs) + 1
        run = Run(uid(self.scenario.seed, "run", number), number, launch)
        self.runs[run.uid] = run
        self._deliveries[run.uid] = Delivery(run, self._sender, self._register)
        self._deliveries[run.uid].start()
        return run

    def run(self, run_uid: str) -> Run:
        """The run; raises EdgesError (404) if there is none."""
        try:
            return self.runs[run_uid]
        except KeyError:
            raise EdgesError("STATUS_404", f"There is no run {run_uid!r}.") from None

    def callback(self, callback_uid: str) -> Callback:
        """The callback; raises EdgesError (404) if there is none."""
        try:
            return self.callbacks[callback_uid]
        except KeyError:
            raise EdgesError("STATUS_404", f"There is no callback {callback_uid!r}.") from None

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

    def replay(self, callback: Callback) -> Callback:
        """Send a callback again, under a new record."""
        return self.delivery(callback.run).replay(callback)

    async def close(self) -> None:
        """End all deliveries and close all connections."""
        for delivery in self._deliveries.values():
            await delivery.close()
        await self._sender.close()

    def _register(self, callback: Callback) -> None:
        self.callbacks[callback.uid] = callback
