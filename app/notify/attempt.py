"""What came of sending a delivery once: the one answer that every channel gives."""

from typing import NamedTuple

ANSWER_BYTES_MAX = 1024
"""How much of a receiver's answer is kept."""


class Attempt(NamedTuple):
    """One try to deliver."""

    is_delivered: bool
    took_ms: int
    status: int | None = None
    """The HTTP status (or the code of an SMTP server, or a command's exit code), if it came."""
    problem: str | None = None
    """What went wrong, in words for whoever set the endpoint up; None if it was delivered."""
    answer: str = ""
    """The beginning of what the receiver answered, at most `ANSWER_BYTES_MAX` bytes of it."""
    retry_after_s: float | None = None
    """How long the receiver asked to be left alone."""
    is_gone: bool = False
    """Whether the receiver said that it is not there any more, and wants nothing again."""
