"""A run as Edges keeps it: how far it has come, and what it has brought so far.

Pages are made in the order of the inputs, so all state of a round is a place: inputs
before it are finished, the rest are not. What a page holds is made on demand.
"""

from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from app.simulator.chance import draw_between, uid
from app.simulator.clock import Clock
from app.simulator.errors import EdgesError
from app.simulator.launch import Launch
from app.simulator.outcome import Outcome, entity_of, final_status, is_page_withheld, outcome_of
from app.simulator.results.texts import ResultTexts

if TYPE_CHECKING:
    from datetime import datetime

# Outcomes of the inputs under way: each is asked for several times in a row.
_OUTCOMES_KEPT: Final = 1_024

UNFINISHED: Final = ("CREATED", "QUEUED", "SCHEDULED", "RUNNING")
CONTINUABLE: Final = ("BLOCKED", "STOPPED", "FAILED", "PARTIAL_SUCCEEDED", "SUCCEEDED")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of one input's results: what one callback carries."""

    round_number: int
    input_index: int
    number: int
    is_last_of_input: bool
    is_last_of_round: bool
    is_final_callback: bool = False
    """Whether it stands for the whole run, as the one callback of `on: "final"` does."""


@dataclass(slots=True)
class Round:
    """One pass over all inputs; a `continue` begins another. `next_*` is where it stands."""

    number: int
    next_input: int = 0
    next_page: int = 0
    result_count: int = 0
    withheld_count: int = 0
    tally: dict[str, int] = field(default_factory=dict)
    last_label: str | None = None
    started_at: "array[float]" = field(default_factory=lambda: array("d"))
    finished_at: "array[float]" = field(default_factory=lambda: array("d"))


class Run:
    """One run. Its callbacks, and when it goes on, are `delivery`'s concern."""

    def __init__(
        self,
        uid: str,
        number: int,
        launch: Launch,
        clock: Clock,
        *,
        scheduled_run_uid: str | None = None,
        first_round: int = 0,
    ) -> None:
        """`first_round` counts what earlier runs of an incremental schedule have brought."""
        self.uid = uid
        self.number = number
        self.launch = launch
        self.clock = clock
        self.status = "CREATED"
        self.scheduled_run_uid = scheduled_run_uid
        self.rounds = [Round(first_round)]
        self.created_at = self.updated_at = clock.now()
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self._shift_count = 0
        scenario = launch.scenario
        self._texts = ResultTexts(launch.action_name, scenario.seed, scenario.result_templates)
        self.outcome = lru_cache(_OUTCOMES_KEPT)(self._outcome)
        """How an input (by index) ends, or will end, in a round (by number)."""

    # What the inputs yield.

    def _outcome(self, input_index: int, round_number: int) -> Outcome:
        launch = self.launch
        return outcome_of(launch.scenario, input_index, round_number, launch.max_results)

    def result_count_of(self, page: Page) -> int:
        """How many results a page holds."""
        size = self.launch.scenario.page_size
        count = self.outcome(page.input_index, page.round_number).result_count
        return max(0, min(size, count - page.number * size))

    def results_of(self, page: Page) -> list[bytes]:
        """The results that a page holds, as JSON; none if its input came to nothing."""
        first = page.number * self.launch.scenario.page_size
        end = first + self.result_count_of(page)
        return self.results(page.round_number, page.input_index, first, end)

    def results(self, round_number: int, input_index: int, first: int, end: int) -> list[bytes]:
        """Results of an input in a round, by their offsets, as JSON."""
        scenario = self.launch.scenario
        earlier = sum(self.outcome(input_index, n).result_count for n in range(round_number))
        return [
            self._texts.result(
                input_index, earlier + entity_of(scenario, input_index, round_number, offset)
            )
            for offset in range(first, end)
        ]

    def is_withheld(self, round_number: int, input_index: int, page_number: int) -> bool:
        """Whether the results of a page are counted, and yet never handed out."""
        scenario = self.launch.scenario
        if not scenario.withheld_share:
            return False
        has_results = self.outcome(input_index, round_number).result_count > 0
        return has_results and is_page_withheld(scenario, round_number, input_index, page_number)

    # How the run goes on.

    @property
    def is_final(self) -> bool:
        """Whether it has ended, though it may be resumed or continued."""
        return self.status not in UNFINISHED

    def make_page(self) -> Page | None:
        """Go one page further; None if the run has none left."""
        current = self.rounds[-1]
        index, number = current.next_input, current.next_page
        if index >= len(self.launch.inputs):
            return None
        if self.status != "RUNNING":
            self._turn("RUNNING")
            self.started_at = self.started_at or self.updated_at
        outcome = self.outcome(index, current.number)
        size = self.launch.scenario.page_size
        is_last_of_input = number + 1 == outcome.page_count(size)
        is_last = is_last_of_input and index + 1 == len(self.launch.inputs)
        page = Page(current.number, index, number, is_last_of_input, is_last)
        result_count = self.result_count_of(page)
        current.result_count += result_count
        if self.is_withheld(current.number, index, number):
            current.withheld_count += result_count
        now = self.updated_at = self.clock.now()
        if number == 0:
            current.started_at.append(now.timestamp())
        if is_last_of_input:
            current.next_input, current.next_page = index + 1, 0
            current.finished_at.append(now.timestamp())
            current.tally[outcome.status] = current.tally.get(outcome.status, 0) + 1
            current.last_label = outcome.error_label or current.last_label
        else:
            current.next_page = number + 1
        if is_last:
            self._turn(final_status(current.tally))
            self.finished_at = self.updated_at
        return page

    def stop(self) -> None:
        """Cancel: what is processed is kept. Raises EdgesError if the run has ended."""
        self._require(UNFINISHED, "cancelled")
        self._turn("STOPPED")
        self.finished_at = self.updated_at

    def resume(self) -> None:
        """Go on where it was stopped. Raises EdgesError if it was not."""
        self._require(("STOPPED",), "resumed")
        self._turn("QUEUED")
        self.finished_at = None

    def continue_(self, *, is_forced: bool = False) -> None:
        """Begin another round over all inputs. Raises EdgesError unless it may.

        By force, a run that is not incremental may too.
        """
        if not self.launch.is_incremental and not is_forced:
            raise EdgesError("BAD_PARAMETERS", "Only incremental runs can be continued.")
        self._require(CONTINUABLE, "continued")
        self.rounds.append(Round(self.rounds[-1].number + 1))
        self._turn("SCHEDULED")
        self.finished_at = None

    def _require(self, allowed: tuple[str, ...], what: str) -> None:
        if self.status not in allowed:
            raise EdgesError(
                "BAD_PARAMETERS",
                f"A run that is {self.status} cannot be {what}.",
                status=self.status,
            )

    def _turn(self, status: str) -> None:
        self.status = status
        self.updated_at = self.clock.now()

    # What it has brought so far.

    def round(self, number: int) -> Round:
        """The round of that number."""
        return self.rounds[number - self.rounds[0].number]

    @property
    def counted_rounds(self) -> list[Round]:
        """The rounds that `output_count` and `/outputs` speak of."""
        return self.rounds if self.launch.scenario.outputs_are_cumulative else self.rounds[-1:]

    @property
    def output_count(self) -> int:
        """Results so far."""
        return sum(each.result_count for each in self.counted_rounds)

    @property
    def withheld_count(self) -> int:
        """Those of them that are never handed out."""
        return sum(each.withheld_count for each in self.counted_rounds)

    def made_count(self, input_index: int, each: Round) -> int:
        """Results that the input has brought in that round so far."""
        if input_index > each.next_input:
            return 0
        count = self.outcome(input_index, each.number).result_count
        if input_index == each.next_input:
            return min(count, each.next_page * self.launch.scenario.page_size)
        return count

    def input_status(self, input_index: int) -> str:
        """Where the input stands in the current round."""
        current = self.rounds[-1]
        if input_index < current.next_input:
            return self.outcome(input_index, current.number).status
        if self.status in ("STOPPED", "SCHEDULED"):
            return self.status
        is_begun = input_index == current.next_input and current.next_page > 0
        return "RUNNING" if is_begun else "QUEUED"

    def next_shift(self) -> int:
        """By how much the list of inputs is turned this time, where it does not stay as it is."""
        self._shift_count += 1
        last = len(self.launch.inputs) - 1
        return draw_between((0, last), self.launch.scenario.seed, "shift", self._shift_count)

    def input_error_label(self, input_index: int) -> str | None:
        """Why the input came to nothing in the current round; None if it did not, or not yet."""
        current = self.rounds[-1]
        if input_index >= current.next_input:
            return None
        return self.outcome(input_index, current.number).error_label

    def input_output_count(self, input_index: int) -> int:
        """Results of the input so far."""
        return sum(self.made_count(input_index, each) for each in self.counted_rounds)

    # How the API and callbacks name it.

    def input_uid(self, input_index: int) -> str:
        """The uid of an input."""
        return uid(self.uid, "input", input_index)

    def batch_uid(self, page: Page) -> str:
        """The batch of the page's input."""
        batch = page.input_index // self.launch.scenario.batch_size
        return uid(self.uid, "batch", page.round_number, batch)

    def status_in_callback(self, page: Page) -> str:
        """The `run.status` of a page's callback, of its input or of the run as configured."""
        if page.is_final_callback:
            return final_status(self.round(page.round_number).tally)
        if self.launch.scenario.status_scope == "run":
            if page.is_last_of_round:
                return final_status(self.round(page.round_number).tally)
            return "RUNNING"
        if page.is_last_of_input:
            return self.outcome(page.input_index, page.round_number).status
        return "RUNNING"
