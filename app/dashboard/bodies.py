"""Bodies from elsewhere, as people can read them: bounded, and never more than text."""

import json
from typing import NamedTuple

from app.canonical import parse

SHOWN_CHARACTERS = 64 * 1024
_LAYING_OUT = json.JSONEncoder(ensure_ascii=False, indent=2)
_PARSED_BYTES_MAX = 1024 * 1024
"""Larger ones are shown as they came: reading them would take others' time."""


class ReadableBody(NamedTuple):
    """What is shown of a body."""

    text: str
    is_json: bool
    """Whether it was laid out; else it is as it came."""
    is_cut: bool
    body_bytes: int


def readable(body: bytes) -> ReadableBody:
    """JSON over several lines, all else as text; at most `SHOWN_CHARACTERS` of it."""
    laid_out = _laid_out(body) if len(body) <= _PARSED_BYTES_MAX else None
    text = laid_out
    if text is None:
        text = body[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    is_json = laid_out is not None
    is_cut = len(text) > SHOWN_CHARACTERS or (not is_json and len(body) > 4 * SHOWN_CHARACTERS)
    return ReadableBody(text[:SHOWN_CHARACTERS], is_json, is_cut, len(body))


def _laid_out(body: bytes) -> str | None:
    """JSON over several lines, not much more of it than is shown; None if it is none."""
    pieces, length = list[str](), 0
    try:
        # Not whole: what is nested deep may become a thousand times as long.
        for piece in _LAYING_OUT.iterencode(parse(body)):
            pieces.append(piece)
            length += len(piece)
            if length > SHOWN_CHARACTERS:
                break
    except (ValueError, RecursionError):
        return None
    return "".join(pieces)
