"""How the simulated Edges behaves: every knob, its default and its unit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from math import inf
from typing import Any, Final, Literal, Self

import msgspec

# These concern the API as a whole, so one launch cannot override them.
API_WIDE: Final = frozenset(
    {
        *("requests_per_minute", "rate_window_s", "retry_after_sent", "callbacks_limit_max"),
        *("error_share_5xx", "storm_every", "storm_length", "cut_share", "slow_share", "slow_s"),
        *("clock_rate", "clock_starts_at", "archive_after_days"),
    }
)
# These are settled once the first request is answered.
FIXED: Final = frozenset({"seed", "clock_rate", "clock_starts_at"})
RESULTS_PER_INPUT_MAX: Final = 100_000
RESULT_TEMPLATES_MAX: Final = 10_000

_FROM_ONE: Final = (
    *("page_size", "batch_size", "reorder_window", "concurrency", "requests_per_minute"),
    *("page_limit_max", "callbacks_limit_max", "cursor_uses_max", "hostile_from_page"),
    *("storm_every", "storm_length", "result_templates"),
)


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

    withheld_share: float = 0.0
    """Pages of results that count in `output_count` and are never sent, listed or replayed."""
    result_templates: int | None = None
    """Results are copies of so many made-up ones, with identifiers of their own: five times as
    fast. None makes each up anew."""

    # What the lists of a run's inputs and outputs show.
    null_status_share: float = 0.0
    """Inputs whose status is shown as null, whatever became of them."""
    inputs_shift: Literal["never", "between_walks", "within_walks"] = "never"
    """When the order of `/inputs` changes while the run is not final: for each walk over its
    pages, or for each page, so that a walk misses some inputs and repeats others."""
    page_limit_max: int | None = None
    """Items on a page of any list, at most, whatever `limit` asks for; no complaint is made."""
    cursor_uses_max: int | None = None
    """Requests that one cursor is good for; then it is refused."""
    cursor_lifetime_s: float | None = None
    """Seconds (of the simulated clock) that a cursor is good for; then it is refused."""
    hostile_next_url: str | None = None
    """What `X-Pagination-Next` says instead of the truth, from page `hostile_from_page` on."""
    hostile_from_page: int = 1
    """The first page of a walk (from 1) whose link leads astray."""

    # What becomes of a schedule's iterations.
    missed_share: float = 0.0
    """Iterations that silently do not come, although they are due."""

    # What becomes of the callbacks.
    callbacks_withheld: bool = False
    """Whether the run makes no callbacks at all, although the launch asked for them."""
    callback_has_input: bool = True
    """Whether a callback's body carries `input`."""
    callback_has_batch_uid: bool = True
    """Whether `batch_uid` is told; null in bodies and records otherwise."""
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
    withheld_replay: Literal["failed", "refused"] = "failed"
    """Whether a replay of a withheld callback ends as FAILED, or is refused at once (400)."""
    ref_is_record_uid: bool = True
    """Whether `callback_ref_uid` is the `uid` that `/runs/callbacks` lists."""

    # What becomes of API requests.
    requests_per_minute: int | None = None
    """Budget shared by all `/runs` routes; None for no limit."""
    rate_window_s: float = 60.0
    """How long that minute lasts, by the simulated clock; shorter in tests that wait it out."""
    retry_after_sent: bool = True
    """Whether a 429 carries `Retry-After`, in real seconds."""
    callbacks_limit_max: int = 100
    """Largest `limit` that `/runs/callbacks` accepts; more is refused (400)."""
    error_share_5xx: float = 0.0
    """API requests answered 500 or 503, without effect."""
    storm_every: int | None = None
    """Of so many requests the last `storm_length` are answered 500, 502, 503 or 504."""
    storm_length: int = 1
    """Requests in a storm; as many as `storm_every` for one that never ends."""
    cut_share: float = 0.0
    """API requests whose answer breaks off half-way; they did take effect."""
    slow_share: float = 0.0
    """API requests that are answered `slow_s` late."""
    slow_s: float = 1.0
    """How late, in real seconds."""

    # The clock of this Edges, and what goes by it.
    clock_rate: float = 1.0
    """Its seconds in a real one; 0 for one that only the control plane moves."""
    clock_starts_at: datetime | None = None
    """What it shows at the start (ISO 8601, with an offset); None for the real time."""
    archive_after_days: float = 90.0
    """Age at which the API forgets a run."""

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
        self._require_numbers_in_bounds()
        _require(
            self.callbacks_per_second is None or self.callbacks_per_second > 0,
            "callbacks_per_second: no pace",
        )
        _require(self.storm_length <= (self.storm_every or inf), "storm_length exceeds storm_every")
        _require(
            self.clock_starts_at is None or self.clock_starts_at.tzinfo is not None,
            "clock_starts_at must have an offset from UTC",
        )

    def _require_numbers_in_bounds(self) -> None:
        for name in _FROM_ONE:
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} must be at least 1")
        for name in ("retry_limit", "retry_delay_s", "slow_s", "clock_rate"):
            _require(0 <= getattr(self, name) < inf, f"{name} must not be negative")
        for name in ("callback_timeout_s", "rate_window_s", "cursor_lifetime_s"):
            value = getattr(self, name)
            _require(value is None or value > 0, f"{name} must be positive")
        _require(self.archive_after_days > 0, "archive_after_days must be positive")
        _require(
            (self.result_templates or 1) <= RESULT_TEMPLATES_MAX,
            f"result_templates must be at most {RESULT_TEMPLATES_MAX}",
        )

    def for_api(self, changes: Mapping[str, Any]) -> Self:
        """This scenario with parts replaced for what is asked for, and launched, from now on.

        Raises ValueError as `for_launch` does, but only what is `FIXED` cannot be replaced.
        """
        return self._with(changes, {field.name for field in fields(self)} - FIXED, "from now on")

    def for_launch(self, overrides: Mapping[str, Any]) -> Self:
        """This scenario with parts replaced for one launch; values as JSON has them.

        Raises ValueError for a name that does not exist or that is API-wide, and for a
        value of the wrong type or out of bounds.
        """
        return self._with(
            overrides, {field.name for field in fields(self)} - API_WIDE, "for a launch"
        )

    def _with(self, changes: Mapping[str, Any], known: set[str], what_for: str) -> Self:
        if unknown := sorted(set(changes) - known):
            raise ValueError(
                f"no knob to turn {what_for}: {', '.join(unknown)}; there are: "
                + ", ".join(sorted(known))
            )
        return msgspec.convert(asdict(self) | dict(changes), type(self))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
