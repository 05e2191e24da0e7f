"""What is kept of a receiver's answer: little, and nothing that a database refuses."""

from app.notify.attempt import ANSWER_BYTES_MAX


def kept_answer(raw: bytes) -> str:
    """The beginning of `raw` as text of at most `ANSWER_BYTES_MAX` bytes in UTF-8.

    Bytes that are no UTF-8 are left out, since marks in their place would take more room than
    they. PostgreSQL has no NUL in text, so each becomes a question mark.
    """
    return raw[:ANSWER_BYTES_MAX].decode(errors="ignore").replace("\0", "?")
