"""Query parameters, read strictly: unknown ones and bad values are refused by name."""

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from starlette.requests import Request

from app.api.problems import bad_parameter

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
VALUE_LENGTH_MAX = 1_000
_CUSTOM = "custom_data."


class Parameters:
    """The query of one request. Each reader raises a 400 that names the parameter."""

    def __init__(
        self,
        request: Request,
        known: Collection[str],
        *,
        with_custom_data: bool = False,
        repeatable: Collection[str] = (),
    ) -> None:
        self._values: dict[str, list[str]] = {}
        self.custom: tuple[tuple[str, str], ...] = ()
        for name, value in request.query_params.multi_items():
            if len(value) > VALUE_LENGTH_MAX:
                raise bad_parameter(name, f"longer than {VALUE_LENGTH_MAX} characters")
            if with_custom_data and name.startswith(_CUSTOM) and len(name) > len(_CUSTOM):
                self.custom += ((name.removeprefix(_CUSTOM), value),)
                continue
            if name not in known:
                raise bad_parameter(name, f"unknown; this list takes {_listed(known)}")
            if name in self._values and name not in repeatable:
                raise bad_parameter(name, "given twice")
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        """Whether it is given."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """A text, None if it is not given. Empty text is refused."""
        value = self._values.get(name, [None])[0]
        if value == "":
            raise bad_parameter(name, "is empty")
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a repeatable parameter."""
        return tuple(self._values.get(name, ()))

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of `choices`, None if it is not given."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise bad_parameter(name, f"must be one of {_listed(choices)}")
        return value

    def flag(self, name: str) -> bool:
        """Whether it is `true`; `false` if it is not given."""
        return self.choice(name, ("true", "false")) == "true"

    def limit(self, name: str = "limit", default: int = LIMIT_DEFAULT) -> int:
        """How many rows there may be: 1 to 1,000."""
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,4}", value) or not 1 <= int(value) <= LIMIT_MAX:
            raise bad_parameter(name, f"must be a whole number from 1 to {LIMIT_MAX}")
        return int(value)

    def number(self, name: str) -> int | None:
        """A whole number of at least 0, None if it is not given."""
        value = self.text(name)
        if value is not None and not re.fullmatch(r"[0-9]{1,18}", value):
            raise bad_parameter(name, "must be a whole number")
        return None if value is None else int(value)

    def time_ms(self, name: str) -> int | None:
        """A time in RFC 3339 as Unix milliseconds, None if it is not given."""
        value = self.text(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value.replace(" ", "+"))
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return int(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            raise bad_parameter(name, "must be a time like 2026-11-24T09:30:00Z") from None


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
