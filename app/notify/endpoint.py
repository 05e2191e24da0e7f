"""An endpoint: where events go, which ones, in what shape and how fast."""

from typing import Annotated, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.event import EventType
from app.notify.framing import FRAMING_HEADERS

EVERYTHING = "*"
CUSTOM = "custom_data."
_PLAIN_FILTERS = ("action_name", "scheduled_run_uid")
_OWN_HEADERS = FRAMING_HEADERS | {"content-type"}

Payload = Literal["run", "results-link", "results-inline"]
Format = Literal["cloudevents", "slack"]
Scheme = Literal["v1", "v1a"]


class EndpointConfig(BaseModel):
    """What may be set of an endpoint, and is no secret. Raises ValidationError."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            description="An https address, or `mailto:name@example.com`.",
        ),
    ]
    event_types: Annotated[
        list[str],
        Field(min_length=1, max_length=50, description="Which events; `*` stands for all."),
    ]
    filters: Annotated[
        dict[str, str],
        Field(
            max_length=20,
            description="Only events with this `action_name`, `scheduled_run_uid` or"
            " `custom_data.<path>`.",
        ),
    ] = {}
    payload: Annotated[
        Payload,
        Field(
            description="`run`: the run alone; `results-link`: and a signed link to its results,"
            " which expires; `results-inline`: and the results themselves, a link where they are"
            " too many."
        ),
    ] = "run"
    format: Annotated[
        Format, Field(description="`slack`: a message that Slack and its like take.")
    ] = "cloudevents"
    signing: Annotated[
        Scheme,
        Field(
            description="`v1`: HMAC with a shared secret; `v1a`: Ed25519, of which the receiver"
            " needs the public key alone."
        ),
    ] = "v1"
    ordered: Annotated[
        bool,
        Field(description="Events of a run one after another; one that fails holds up the next."),
    ] = False
    concurrency: Annotated[
        int, Field(ge=1, le=64, description="Deliveries that may be under way at the same time.")
    ] = 4
    rate_per_s: Annotated[
        float | None, Field(gt=0, le=10_000, description="Deliveries a second at most.")
    ] = None
    description: Annotated[str, Field(max_length=500)] = ""

    @field_validator("event_types")
    @classmethod
    def _are_known(cls, value: list[str]) -> list[str]:
        known = [EVERYTHING, *EventType]
        for name in value:
            if name not in known:
                raise ValueError(f"there is no event type {name[:50]}; known: {', '.join(known)}")
        return sorted(set(value))

    @field_validator("filters")
    @classmethod
    def _are_filters(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            is_path = name.startswith(CUSTOM) and name != CUSTOM
            if name not in _PLAIN_FILTERS and not is_path:
                raise ValueError(
                    f"there is no filter {name[:50]}; known: {', '.join(_PLAIN_FILTERS)},"
                    f" {CUSTOM}<path>"
                )
        return value

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.is_mail and self.format != "cloudevents":
            raise ValueError("mail has a format of its own: leave `format` out")
        return self

    @property
    def is_mail(self) -> bool:
        """Whether it is a mailbox."""
        return self.url.startswith("mailto:")

    @property
    def custom(self) -> tuple[tuple[str, str], ...]:
        """(path, value) of the filters on custom_data."""
        return tuple(
            (name.removeprefix(CUSTOM), value)
            for name, value in self.filters.items()
            if name.startswith(CUSTOM)
        )


def read_config(text: str) -> EndpointConfig:
    """What is stored of an endpoint, perhaps by a newer version: what is new in it is left out.

    Raises ValidationError if nothing is left that this version knows.
    """
    value = orjson.loads(text)
    kept = {name: value[name] for name in EndpointConfig.model_fields if name in value}
    known = {EVERYTHING, *EventType}
    kept["event_types"] = [one for one in kept.get("event_types", ()) if one in known]
    return EndpointConfig.model_validate(kept)


class EndpointSecrets(BaseModel):
    """What of an endpoint is kept sealed."""

    headers: dict[str, str] = {}
    """Sent with each delivery; they may hold the receiver's keys."""
    secret: str
    previous: str | None = None
    """The secret before a rotation; signs too, until `previous_until_ms`."""
    previous_until_ms: int = 0

    def signing(self, now_ms: int) -> list[str]:
        """The secrets that sign now, the newest first."""
        if self.previous is not None and now_ms < self.previous_until_ms:
            return [self.secret, self.previous]
        return [self.secret]


def check_headers(headers: dict[str, str]) -> str | None:
    """Why these headers cannot be sent; None if they can."""
    if len(headers) > 20:
        return "at most 20 headers"
    for name, value in headers.items():
        if not name or not all(c.isalnum() or c in "-_" for c in name) or not name.isascii():
            return f"{name[:50]!r} is no name of a header"
        if name.lower() in _OWN_HEADERS or name.lower().startswith("webhook-"):
            return f"{name} is set by the collector"
        if not value.isascii() or not value.isprintable() or len(value) > 2000:
            return f"the value of {name} must be printable ASCII of at most 2,000 characters"
        if value != value.strip():
            return f"the value of {name} must not begin or end with a blank"
    return None
