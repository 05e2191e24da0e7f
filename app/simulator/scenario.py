"""How the simulated Edges behaves: every knob, its default and its unit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self

import msgspec

# These concern the API as a whole, so one launch cannot override them.
API_WIDE: Final = frozenset(
    {"requests_per_minute", "rate_window_s", "error_share_5xx", "cut_share"}
)
RESULTS_PER_INPUT_MAX: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens to the inputs, to the callbacks and to API requests.

    Shares are probabilities from 0 to 1. The defaults behave well: nothing fails, and
    every callback is sent once, in order. Raises ValueError for values out of bounds.
    """

    seed: int = 1
    """Everything below is drawn from it; the same seed gives the same results and uids."""

    # What the inputs yield.
    results_per_input: tuple[int, int] = (1, 30)
    """Fewest and most results of an input that succeeds, both included."""
    page_size: int = 10
    """Results in a callback, at most."""
    batch_size: int = 50
    """Inputs that share a `batch_uid`."""
    failed_share: float = 0.0
    """Inputs that fail with one of the documented labels."""
    blocked_share: float = 0.0
    """Inputs that are blocked as invalid; with 1.0 the run ends as BLOCKED."""
    overlap_share: float = 0.0
    """Results, from an input's second page on, that repeat one of an earlier page."""
    outputs_are_cumulative: bool = True
    """Whether `output_count` and `/outputs` still hold earlier rounds after a `continue`."""

    # What becomes of the callbacks.
    status_scope: Literal["input", "run"] = "input"
    """Whether `run.status` in a callback speaks of its input or of the whole run."""
    reorder_window: int = 1
    """Callbacks are shuffled within blocks of so many; 1 keeps them in order."""
    delay_s: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest wait before a callback's first attempt, in seconds."""
    duplicate_share: float = 0.0
    """Callbacks that are sent a second time although nothing is wrong."""
    drop_share: float = 0.0
    """Callbacks that are never sent and recorded as FAILED."""
    lie_share: float = 0.0
    """Callbacks that are never sent and yet recorded as SUCCESS."""
    retry_limit: int = 3
    """Attempts after the first one, when the answer is not a 2xx."""
    retry_delay_s: float = 1.0
    callback_timeout_s: float = 10.0
    """Seconds that one attempt may take in all."""
    callbacks_per_second: float | None = None
    """Pace of a run; None sends as fast as `concurrency` and the receiver allow."""
    concurrency: int = 16
    """Attempts of one run under way at the same time, at most."""
    replay_keeps_ref: bool = False
    """Whether a replayed body keeps the `callback_ref_uid` of its original."""
    ref_is_record_uid: bool = True
    """Whether `callback_ref_uid` is the `uid` that `/runs/callbacks` lists."""

    # What becomes of API requests.
    requests_per_minute: int | None = None
    """Budget shared by all `/runs` routes; None for no limit."""
    rate_window_s: float = 60.0
    """How long that minute lasts; shorter in tests that wait it out."""
    error_share_5xx: float = 0.0
    """API requests answered 500 or 503, without effect."""
    cut_share: float = 0.0
    """API requests whose answer breaks off half-way; they did take effect."""

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name.endswith("_share")):
            _require(0.0 <= getattr(self, name) <= 1.0, f"{name} must be from 0 to 1")
        _require(0.0 <= self.error_share_5xx <= 1.0, "error_share_5xx must be from 0 to 1")
        _require(self.failed_share + self.blocked_share <= 1, "failed + blocked exceed 1")
        _require(self.drop_share + self.lie_share <= 1, "drop_share + lie_share exceed 1")
        fewest, most = self.results_per_input
        _require(
            0 <= fewest <= most <= RESULTS_PER_INPUT_MAX,
            f"results_per_input must be rising, from 0 to {RESULTS_PER_INPUT_MAX}",
        )
        shortest, longest = self.delay_s
        _require(0 <= shortest <= longest, "delay_s must be rising, from 0")
        for name in ("page_size", "batch_size", "reorder_window", "concurrency"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1")
        for name in ("retry_limit", "retry_delay_s"):
            _require(getattr(self, name) >= 0, f"{name} must not be negative")
        for name in ("callback_timeout_s", "rate_window_s"):
            _require(getattr(self, name) > 0, f"{name} must be positive")
        _require(
            self.callbacks_per_second is None or self.callbacks_per_second > 0,
            "callbacks_per_second: no pace",
        )
        _require(
            self.requests_per_minute is None or self.requests_per_minute >= 1,
            "requests_per_minute must be at least 1",
        )

    def for_launch(self, overrides: Mapping[str, Any]) -> Self:
        """This scenario with parts replaced for one launch; values as JSON has them.

        Raises ValueError for a name that does not exist or that is API-wide, and for a
        value of the wrong type or out of bounds.
        """
        known = {field.name for field in fields(self)} - API_WIDE
        if unknown := sorted(set(overrides) - known):
            raise ValueError(
                f"no such knob for a launch: {', '.join(unknown)}; there are: "
                + ", ".join(sorted(known))
            )
        return msgspec.convert(asdict(self) | dict(overrides), type(self))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
