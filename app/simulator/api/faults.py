"""What goes wrong with a request to the API: pure, from the scenario and its number."""

from dataclasses import dataclass
from typing import Final

from app.simulator.chance import draw, happens
from app.simulator.scenario import Scenario

_STORM: Final = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request."""

    delay_s: float
    status_5xx: int | None
    is_cut: bool


def fault_of(scenario: Scenario, number: int) -> Fault:
    """What goes wrong with the API's request `number`, counted from 0."""
    seed = scenario.seed
    return Fault(
        delay_s=scenario.slow_s if happens(scenario.slow_share, seed, "slow", number) else 0.0,
        status_5xx=_status_5xx(scenario, number),
        is_cut=happens(scenario.cut_share, seed, "cut", number),
    )


def _status_5xx(scenario: Scenario, number: int) -> int | None:
    seed, every = scenario.seed, scenario.storm_every
    if every and number % every >= every - scenario.storm_length:
        return _STORM[int(draw(seed, "storm", number) * len(_STORM))]
    if happens(scenario.error_share_5xx, seed, "5xx", number):
        return 503 if draw(seed, "503", number) < 0.5 else 500
    return None
