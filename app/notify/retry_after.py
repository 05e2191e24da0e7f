"""How long a receiver asks to be left alone."""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

RETRY_AFTER_S_MAX: Final = 86_400.0


def read_retry_after(value: str | None, wall_s: float) -> float | None:
    """Seconds that a `Retry-After` asks for, from 0 to `RETRY_AFTER_S_MAX`; None if it is none.

    It is a number of seconds or an HTTP date (RFC 9110, 10.2.3). `wall_s` is Unix time.
    """
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            wait_s = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - wall_s
        except (ValueError, OverflowError, IndexError, TypeError):
            return None
    return None if math.isnan(wait_s) else min(max(0.0, wait_s), RETRY_AFTER_S_MAX)
