"""When a schedule is due: cron in a time zone, or once. Pure; times are Unix milliseconds.

Cron is read as Debian's cron reads it, by `cronsim`: five fields; where day of month and day
of week are both restricted, either will do; what is to run at a fixed time runs once on the
days when clocks change (after the gap in spring, the first time in autumn), what runs every
so many minutes or hours goes by real time. Whether Edges does the same is not documented.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MINUTE_MS = 60_000
CRON_FIELDS = 5
CRON_LENGTH_MAX = 200


class TimetableError(ValueError):
    """A timetable that cannot be read. The message says which part, and what would do."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """What Edges was told: either `cron`, or `once_ms`; neither is never."""

    cron: str | None = None
    timezone: str = "UTC"
    """Of IANA; the cron is read in it."""
    once_ms: int | None = None

    def check(self) -> None:
        """Raises TimetableError if it cannot be read."""
        _zone(self.timezone)
        if self.cron is not None:
            _cron(self.cron, datetime.fromtimestamp(0, UTC))

    def due_times(self, after_ms: int, until_ms: int) -> Iterator[int]:
        """When it is due after `after_ms`, up to and including `until_ms`, in order.

        Ends by itself if it is never due again. Raises TimetableError.
        """
        if self.cron is None:
            if self.once_ms is not None and after_ms < self.once_ms <= until_ms:
                yield self.once_ms
            return
        if after_ms >= until_ms:
            return
        last_ms = after_ms
        for moment in _cron(self.cron, _moment(after_ms, _zone(self.timezone))):
            due_ms = round(moment.timestamp() * 1000)
            if due_ms > until_ms:
                return
            # What fell into the gap of spring is due at its end, where others may be due too;
            # and begun in the repeated hour of autumn, a fixed time in it has been before.
            if due_ms > last_ms:
                yield due_ms
                last_ms = due_ms

    def last_due_times(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        """The last `limit` of `due_times`, in order. Raises TimetableError."""
        span_ms = limit * MINUTE_MS  # enough for what is due each minute
        while True:
            start_ms = max(after_ms, until_ms - span_ms)
            found = deque(self.due_times(start_ms, until_ms), maxlen=limit)
            if len(found) == limit or start_ms == after_ms:
                return [*found]
            span_ms *= 8  # so that hardly more is made than is asked for

    def in_words(self) -> str | None:
        """The cron in English; None where there is none, or it cannot be read."""
        if self.cron is None:
            return None
        try:
            return str(_cron(self.cron, datetime.fromtimestamp(0, UTC)).explain())
        except TimetableError:
            return None


def local_time(unix_ms: int, timezone: str) -> str:
    """RFC 3339 with the offset that a zone has at that time. Raises TimetableError."""
    return _moment(unix_ms, _zone(timezone)).isoformat(timespec="seconds")


def _moment(unix_ms: int, zone: ZoneInfo) -> datetime:
    """The second that has begun, which is what the cron is asked to go on after."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).astimezone(zone)


def _cron(expression: str, after: datetime) -> CronSim:
    if len(expression) > CRON_LENGTH_MAX or len(expression.split()) != CRON_FIELDS:
        raise TimetableError(
            f"the cron {expression[:CRON_LENGTH_MAX]!r} has not five fields: minute, hour, day of"
            " month, month, day of week, such as `0 9 * * 1-5`"
        )
    if after.utcoffset() == UTC.utcoffset(None) and str(after.tzinfo) == "UTC":
        after = after.replace(tzinfo=UTC)  # which is quicker
    try:
        return CronSim(expression, after)
    except (CronSimError, ValueError) as error:
        raise TimetableError(f"the cron {expression!r} cannot be read: {error}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # what is looked up is a file's name
        raise TimetableError(
            f"the time zone {name[:100]!r} is unknown: give one of the IANA's, such as Europe/Paris"
        ) from None
