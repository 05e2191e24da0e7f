"""When a delivery that failed is tried again, and when an endpoint is given up. Pure."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Final

JITTER: Final = 0.2
"""A pause is this much shorter or longer by chance, so that what failed together does not return
together."""

RETRY_AFTER_MAX_S: Final = 86_400.0
"""A receiver that asks for more is tried after a day nonetheless."""


def next_try_ms(
    attempts: int,
    now_ms: int,
    pauses_s: Sequence[float],
    *,
    retry_after_s: float | None,
    random: Callable[[], float],
) -> int | None:
    """Unix milliseconds of the next try, or None when all are used up.

    `attempts` counts the tries made (>= 1), `random` gives numbers in [0, 1). `retry_after_s` is
    what the receiver asked for: it can only make the pause longer. Raises ValueError if
    `attempts` < 1.
    """
    if attempts < 1:
        raise ValueError(f"{attempts} tries were made, so there is none to follow")
    if attempts > len(pauses_s):
        return None
    pause_s = pauses_s[attempts - 1] * (1 + JITTER * (2 * random() - 1))
    if retry_after_s is not None and retry_after_s > 0:
        pause_s = max(pause_s, min(retry_after_s, RETRY_AFTER_MAX_S))
    return now_ms + ceil(pause_s * 1000)


def is_to_be_disabled(failing_since_ms: int | None, now_ms: int, disable_after_s: float) -> bool:
    """Whether an endpoint failed long enough to be given up.

    `failing_since_ms` is when the first try failed since the last that succeeded; None if none has.
    """
    return failing_since_ms is not None and now_ms - failing_since_ms >= disable_after_s * 1000
