"""What becomes of each callback: pure, from the scenario and the callback's place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.simulator.chance import draw, happens, stream
from app.simulator.scenario import Scenario

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fate:
    """How a callback fares on its way. A dropped one is never sent."""

    is_dropped: bool
    is_recorded_as_sent: bool
    is_duplicated: bool
    delay_s: float
    duplicate_delay_s: float


def fate_of(scenario: Scenario, ordinal: int) -> Fate:
    """The fate of the run's callback number `ordinal`, in the order they were made."""
    seed = scenario.seed
    # One draw for both losses, so that their shares add up.
    is_lie = happens(scenario.lie_share, seed, "loss", ordinal)
    return Fate(
        is_dropped=happens(scenario.lie_share + scenario.drop_share, seed, "loss", ordinal),
        is_recorded_as_sent=is_lie,
        is_duplicated=happens(scenario.duplicate_share, seed, "duplicate", ordinal),
        delay_s=_delay_s(scenario, "delay", ordinal),
        duplicate_delay_s=_delay_s(scenario, "duplicate delay", ordinal),
    )


def _delay_s(scenario: Scenario, purpose: str, ordinal: int) -> float:
    shortest, longest = scenario.delay_s
    if longest == 0:
        return 0.0
    return shortest + draw(scenario.seed, purpose, ordinal) * (longest - shortest)


def sending_order(scenario: Scenario, block: Sequence[T], block_number: int) -> list[T]:
    """The order in which one block of callbacks (`reorder_window` at most) is sent."""
    order = list(block)
    stream(scenario.seed, "order", block_number).shuffle(order)
    return order
