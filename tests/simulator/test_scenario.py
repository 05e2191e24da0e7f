"""Scenarios refuse what makes no sense."""

from datetime import datetime
from typing import Any

import pytest

from app.simulator import Scenario


@pytest.mark.parametrize(
    "knobs",
    [
        {"failed_share": 1.1},
        {"failed_share": 0.6, "blocked_share": 0.6},
        {"drop_share": 0.6, "lie_share": 0.6},
        {"cut_share": -0.1},
        {"error_share_5xx": 2},
        {"results_per_input": (3, 2)},
        {"delay_s": (-1, 0)},
        {"page_size": 0},
        {"retry_limit": -1},
        {"callback_timeout_s": 0},
        {"callbacks_per_second": 0},
        {"requests_per_minute": 0},
        {"withheld_share": 2},
        {"result_templates": 0},
        {"result_templates": 10_001},
        {"page_limit_max": 0},
        {"callbacks_limit_max": 0},
        {"cursor_uses_max": 0},
        {"cursor_lifetime_s": 0},
        {"hostile_from_page": 0},
        {"storm_every": 3, "storm_length": 4},
        {"storm_length": 0},
        {"slow_s": -1},
        {"clock_rate": -1},
        {"clock_starts_at": datetime(2026, 1, 1)},  # noqa: DTZ001 (that is what is refused)
        {"archive_after_days": 0},
    ],
)
def test_values_out_of_bounds_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(knobs)).split("_")[0]):
        Scenario(**knobs)


def test_an_override_replaces_only_what_it_names() -> None:
    scenario = Scenario(seed=3, page_size=4)
    changed = scenario.for_launch({"delay_s": [0, 1], "callbacks_per_second": 5})
    assert changed == Scenario(seed=3, page_size=4, delay_s=(0, 1), callbacks_per_second=5)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"sede": 1}, "sede"),
        ({"requests_per_minute": 1}, "requests_per_minute"),
        ({"clock_rate": 60}, "clock_rate"),
        ({"seed": "1"}, "int"),
        ({"status_scope": "both"}, "both"),
        ({"failed_share": 7}, "failed_share"),
        ({"delay_s": [1]}, "2"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(
    overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Scenario().for_launch(overrides)
