"""What each input yields: pure, from the scenario and the input's place alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.simulator.chance import draw, draw_between, happens
from app.simulator.errors import INPUT_FAILURES
from app.simulator.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one input ends in one round: SUCCEEDED, FAILED or BLOCKED."""

    status: str
    error_label: str | None
    result_count: int

    def page_count(self, page_size: int) -> int:
        """Callbacks of the input. One without results still gives one."""
        return max(1, -(-self.result_count // page_size))


def outcome_of(
    scenario: Scenario, input_index: int, round_number: int, max_results: int | None
) -> Outcome:
    """How the input ends. `round_number` counts the run's continuations from 0."""
    seed = scenario.seed
    can_fail = scenario.blocked_share + scenario.failed_share > 0
    luck = draw(seed, "outcome", input_index, round_number) if can_fail else 1.0
    if luck < scenario.blocked_share:
        return Outcome("BLOCKED", "BAD_INPUT", 0)
    if luck < scenario.blocked_share + scenario.failed_share:
        pick = draw(seed, "label", input_index, round_number)
        return Outcome("FAILED", INPUT_FAILURES[int(pick * len(INPUT_FAILURES))], 0)
    count = draw_between(scenario.results_per_input, seed, "count", input_index, round_number)
    return Outcome("SUCCEEDED", None, count if max_results is None else min(count, max_results))


def entity_of(scenario: Scenario, input_index: int, round_number: int, offset: int) -> int:
    """Which of the input's entities stands at this offset of its results.

    Each has its own, but where search pages overlap: there, one of an earlier page.
    """
    seed, share = scenario.seed, scenario.overlap_share
    while page_start := offset - offset % scenario.page_size:
        at = (input_index, round_number, offset)
        if not happens(share, seed, "overlap", *at):
            break
        offset = int(draw(seed, "overlapped", *at) * page_start)
    return offset


def is_page_withheld(
    scenario: Scenario, round_number: int, input_index: int, page_number: int
) -> bool:
    """Whether a page of an input's results, if it has any, is never handed out."""
    at = (round_number, input_index, page_number)
    return happens(scenario.withheld_share, scenario.seed, "withheld", *at)


def final_status(tally: Mapping[str, int]) -> str:
    """The status of a run whose inputs ended so: their number for each status."""
    succeeded, blocked = tally.get("SUCCEEDED", 0), tally.get("BLOCKED", 0)
    total = sum(tally.values())
    if succeeded == total:
        return "SUCCEEDED"
    if succeeded:
        return "PARTIAL_SUCCEEDED"
    return "BLOCKED" if blocked == total else "FAILED"
