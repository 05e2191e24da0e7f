"""The callbacks of a run in the order in which they are sent."""

from collections import deque
from collections.abc import Callable

from app.simulator.callback import Callback
from app.simulator.chance import uid
from app.simulator.fate import sending_order
from app.simulator.run import Page, Run


class CallbackSequence:
    """Has the run make its pages, and makes a callback of each that is to have one."""

    def __init__(self, run: Run, record: Callable[[Callback], None]) -> None:
        """`record` is told of every callback that comes to be."""
        self._run = run
        self._record = record
        self._block: deque[Callback] = deque()
        self._block_count = self._ordinal = 0

    @property
    def has_begun_block(self) -> bool:
        """Whether callbacks are made that have not been asked for yet."""
        return bool(self._block)

    def next(self) -> Callback | None:
        """The next callback to send; None where the page made has none of its own."""
        run, scenario = self._run, self._run.launch.scenario
        target = None if scenario.callbacks_withheld else run.launch.callback
        if target is None or target.is_final_only:
            page = run.make_page()
            if target is None or page is None or not page.is_last_of_round:
                return None
            whole = Page(page.round_number, page.input_index, 0, True, True, True)
            return self._new_callback(whole)
        if not self._block:
            made: list[Callback] = []
            while len(made) < scenario.reorder_window and (page := run.make_page()):
                made.append(self._new_callback(page))
            self._block.extend(sending_order(scenario, made, self._block_count))
            self._block_count += 1
        return self._block.popleft() if self._block else None

    def _new_callback(self, page: Page) -> Callback:
        callback = Callback(
            uid=uid(self._run.uid, "callback", self._ordinal),
            run=self._run,
            page=page,
            ordinal=self._ordinal,
            created_at=self._run.clock.now(),
        )
        self._ordinal += 1
        self._record(callback)
        return callback
