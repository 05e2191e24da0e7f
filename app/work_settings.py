"""What projecting needs of the settings, for the process that does it.

Not `app.settings` itself: to validate the settings again would be half of a worker's start, and
it needs none of the keys.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from app.settings import Settings


class WorkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Named and meant as in `Settings`."""

    log_level: str
    log_format: Literal["json", "console"] | None
    postgres_url: str | None
    log_path: Path
    projection_path: Path
    outbox_path: Path
    result_keys: tuple[str, ...]
    asks_edges: bool
    projection_paused: bool
    projection_burst_s: float

    @classmethod
    def of(cls, settings: "Settings") -> "WorkSettings":
        """Those of the service."""
        return cls(**{name: getattr(settings, name) for name in cls.__struct_fields__})

    @classmethod
    def from_json(cls, line: bytes) -> "WorkSettings":
        """What `to_json` wrote."""
        return msgspec.json.decode(line, type=cls, dec_hook=lambda wanted, text: wanted(text))

    def to_json(self) -> bytes:
        """One line. The password of the database is in it."""
        return msgspec.json.encode(self, enc_hook=str)
