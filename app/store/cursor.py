"""Where a page of a list ended: opaque to users, and refused when it is not one of ours."""

import base64
import binascii
from collections.abc import Sequence

import orjson

from app.canonical import Json

VERSION = 1


class CursorError(ValueError):
    """A cursor that this list did not give."""


def encode(kind: str, position: Sequence[str | int | bytes]) -> str:
    """A cursor for `position` in the list named `kind`. Bytes travel as hex."""
    parts = [part.hex() if isinstance(part, bytes) else part for part in position]
    return base64.urlsafe_b64encode(orjson.dumps([VERSION, kind, *parts])).decode().rstrip("=")


def decode(kind: str, cursor: str, types: Sequence[type]) -> list[Json]:
    """The position in `cursor`: one value of each of `types`. Raises CursorError."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        version, found_kind, *position = parts
        if (version, found_kind) == (VERSION, kind):
            return [_typed(part, wanted) for part, wanted in zip(position, types, strict=True)]
    except (CursorError, ValueError, TypeError, UnicodeEncodeError, binascii.Error):
        pass
    raise CursorError(
        "the cursor is none that this list gave: take `next_cursor` from its last page"
    )


def _typed(part: Json, wanted: type) -> Json:
    if wanted is bytes and isinstance(part, str):
        return bytes.fromhex(part)
    if isinstance(part, bool) or not isinstance(part, wanted):
        raise CursorError
    if isinstance(part, int) and not -(2**63) <= part < 2**63:
        raise CursorError
    return part
