"""What a receiver's answer means for its delivery: a pure function of the answer."""

from collections.abc import Sequence

from app.notify.attempt import ANSWER_BYTES_MAX, Attempt
from app.notify.harmless import harmless
from app.notify.retry_after import read_retry_after


def read_answer(
    status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, wall_s: float
) -> Attempt:
    """The attempt that was answered so, with no time taken yet.

    `body` is as it came, its beginning at least. `wall_s` is Unix time, for a `Retry-After`.
    """
    named = {name.lower(): value.decode("latin-1") for name, value in headers}
    is_ok = 200 <= status < 300
    asks_to_wait = status in (429, 503)
    return Attempt(
        is_delivered=is_ok,
        took_ms=0,
        status=status,
        problem=None if is_ok else _problem(status, named.get(b"location")),
        answer=_text(body[:ANSWER_BYTES_MAX], named.get(b"content-encoding", "identity")),
        retry_after_s=read_retry_after(named.get(b"retry-after"), wall_s) if asks_to_wait else None,
        is_gone=status == 410,
    )


def _problem(status: int, location: str | None) -> str:
    if status == 410:
        return "HTTP 410: the receiver is gone, and wants nothing again"
    if location is not None and 300 <= status < 400:
        return (
            f"HTTP {status}: it redirects to {harmless(location[:200])!r}, which is not followed:"
            " set the endpoint's URL to where it shall go"
        )
    return f"HTTP {status}"


def _text(body: bytes, encoding: str) -> str:
    if body and encoding.strip().lower() != "identity":
        # Unpacking is how few bytes become many.
        return f"({harmless(encoding[:20])}, not unpacked)"
    return harmless(body.decode("utf-8", errors="replace"))
