"""API keys as types: what is asked for them, and what /openapi.json says of them."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from app.api.access import SCOPES
from app.api.schema import Timestamp

Scope = Literal["read", "write", "admin"]


def _printable(name: object) -> object:
    if isinstance(name, str) and not (name.isprintable() and name.strip()):
        raise ValueError("must have something to read in it, and no line breaks")
    return name


def _of_text(time: object) -> object:
    if time is not None and not isinstance(time, str):
        raise ValueError("must be a time like 2027-11-24T09:30:00Z, or null")
    return time


class NewApiKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        Field(min_length=1, max_length=100, description="By which records say who asked."),
        BeforeValidator(_printable),
    ]
    scopes: Annotated[
        list[Scope],
        Field(
            min_length=1,
            max_length=len(SCOPES),
            description="`admin` includes `write`, and `write` includes `read`.",
        ),
    ]
    expires_at: Annotated[
        AwareDatetime | None,
        Field(description="From then on it opens nothing; null for never."),
        BeforeValidator(_of_text),
    ] = None


class ApiKey(BaseModel):
    """A key, without the key itself."""

    id: Annotated[str, Field(description="`admin` is the key of the settings.")]
    name: str
    scopes: list[Scope]
    hint: Annotated[
        str | None,
        Field(description="The last characters of the key; null of an admin key that is short."),
    ]
    created_at: Annotated[Timestamp | None, Field(description="null of the admin key.")]
    expires_at: Timestamp | None
    last_used_at: Annotated[
        Timestamp | None,
        Field(description="To the minute; null if it never was, and of the admin key."),
    ]
    revoked_at: Timestamp | None


class CreatedApiKey(ApiKey):
    """A key that was just made."""

    key: Annotated[str, Field(description="Shown here, and never again.")]


class ApiKeyPage(BaseModel):
    """A page of keys: the admin key, then the others, newest first."""

    data: list[ApiKey]
    next_cursor: str | None
