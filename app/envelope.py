"""Answers of Edges as the log keeps them: the answer as it came, and what was asked.

    {"about": {…}, "answer": …}

`about` is ours; `answer` is the body, byte for byte.
"""

from typing import Any

import msgspec

from app.canonical import Json, parse


class About(msgspec.Struct, omit_defaults=True):
    """What was asked."""

    walk: str | None = None
    """Of a page: the uid of the walk that it is part of."""
    page: int = 0
    """Its number within the walk, from 0."""
    began_ms: int = 0
    """When the walk began, Unix time in milliseconds."""
    next_url: str | None = None
    """Where the list goes on; None behind its last page."""
    is_cut: bool = False
    """Whether the walk was ended here although the list goes on."""
    act: str | None = None
    """Of an act: `continue`, `resume`, `cancel`, `replay`, `reconcile` or `gone`."""
    callback_uid: str | None = None
    """Of a replay: the record of the original callback."""


_ABOUT, _ANSWER, _END = b'{"about":', b',"answer":', b"}"


def enveloped(about: About, answer: bytes) -> bytes:
    """The body of a log entry; `answer` must be a JSON document."""
    return b"".join((_ABOUT, msgspec.json.encode(about), _ANSWER, answer, _END))


def opened(body: bytes) -> tuple[About, Json]:
    """What was asked, and the answer's value. Raises ValueError if it is no such body."""
    value: Any = parse(body)
    try:
        return msgspec.convert(value["about"], About), value["answer"]
    except (msgspec.ValidationError, KeyError, TypeError) as error:
        raise ValueError(f"not an answer of Edges: {error}") from error
