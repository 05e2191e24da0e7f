"""Bodies from elsewhere, as people can read them: bounded, and never more than text."""

import json
from typing import NamedTuple

from app.canonical import parse

SHOWN_CHARACTERS = 64 * 1024
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
    text, is_json = "", False
    if len(body) <= _PARSED_BYTES_MAX:
        try:
            text, is_json = json.dumps(parse(body), ensure_ascii=False, indent=2), True
        except (ValueError, RecursionError):
            is_json = False
    if not is_json:
        text = body[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    is_cut = len(text) > SHOWN_CHARACTERS or (not is_json and len(body) > 4 * SHOWN_CHARACTERS)
    return ReadableBody(text[:SHOWN_CHARACTERS], is_json, is_cut, len(body))
