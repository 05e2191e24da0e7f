"""When a schedule's iterations come due: by cron in a time zone, or once."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from app.simulator.errors import EdgesError

Json = dict[str, Any]

_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """Either `cron` or `schedule_at` is set."""

    cron: str | None
    schedule_at: datetime | None
    timezone: str

    def next_after(self, at_s: float) -> float | None:
        """The first moment due after that one, as Unix time; None if there is none.

        That a single moment has had its turn is for the schedule to know.
        """
        if self.schedule_at is not None:
            return self.schedule_at.timestamp()
        assert self.cron is not None  # noqa: S101 (one of both is set)
        begin = datetime.fromtimestamp(at_s, _zone(self.timezone))
        due = next(CronSim(self.cron, begin), None)
        return None if due is None else due.timestamp()


def read_timing(body: Json) -> Timing:
    """The timing that a request's body describes.

    Raises EdgesError (400 BAD_PARAMETERS, MISSING_PARAMETER) that names what is wrong.
    """
    cron, schedule_at = body.get("cron"), body.get("schedule_at")
    timezone = body.get("timezone") or "UTC"
    if not isinstance(timezone, str) or timezone not in _timezones():
        raise _bad_parameter("timezone", "must be a name of the IANA time zone database")
    if cron is None and schedule_at is None:
        raise EdgesError("MISSING_PARAMETER", "cron or schedule_at is required.", parameter="cron")
    if cron is not None and schedule_at is not None:
        raise _bad_parameter("schedule_at", "cannot stand beside cron")
    if cron is None:
        return Timing(None, _read_moment(schedule_at, timezone), timezone)
    return Timing(_read_cron(cron), None, timezone)


def _read_cron(cron: object) -> str:
    if not isinstance(cron, str) or len(cron.split()) != _FIELDS:
        raise _bad_parameter("cron", "must have five fields")
    try:
        if next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)), None) is None:
            raise _bad_parameter("cron", "never comes due")
    except CronSimError as error:
        raise _bad_parameter("cron", f"is not valid: {error}") from error
    return cron


def _read_moment(text: object, timezone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _bad_parameter("schedule_at", "must be a date and time in ISO 8601")
    return moment if moment.tzinfo else moment.replace(tzinfo=_zone(timezone))


@cache  # reads a directory
def _timezones() -> set[str]:
    return available_timezones()


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _bad_parameter(name: str, what: str) -> EdgesError:
    return EdgesError("BAD_PARAMETERS", f"{name} {what}.", parameter=name)
