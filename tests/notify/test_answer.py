"""What answers mean, without a socket."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.answer import read_answer
from app.notify.attempt import ANSWER_BYTES_MAX
from app.notify.retry_after import RETRY_AFTER_S_MAX, read_retry_after

NOW_S = 1_780_000_000.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("120", 120),
        ("1.5", 1.5),
        ("0", 0),
        ("-5", 0),
        ("999999999", 86_400),
        ("inf", 86_400),
        (formatdate(NOW_S + 600, usegmt=True), 600),
        (formatdate(NOW_S - 600, usegmt=True), 0),
        (formatdate(NOW_S + 10**7, usegmt=True), 86_400),
    ],
)
def test_a_wish_to_be_left_alone_is_bounded(status: int, value: str, wait_s: float) -> None:
    attempt = read_answer(status, [(b"Retry-After", value.encode())], b"", NOW_S)
    assert attempt.retry_after_s == pytest.approx(wait_s, abs=1)


@pytest.mark.parametrize(
    ("status", "value"), [(429, "soon"), (503, ""), (429, "nan"), (200, "10"), (500, "10")]
)
def test_nothing_else_is_a_wish_to_be_left_alone(status: int, value: str) -> None:
    headers = [(b"retry-after", value.encode())]
    assert read_answer(status, headers, b"", NOW_S).retry_after_s is None


_DATE_LIKE = st.lists(
    st.sampled_from([*"0123456789 :,-+", "Mon", "Jan", "GMT", "2026", "\u0660", "\x00"])
).map("".join)


@given(st.text() | _DATE_LIKE)
def test_any_wish_is_understood_or_ignored(value: str) -> None:
    wait_s = read_retry_after(value, NOW_S)
    assert wait_s is None or 0 <= wait_s <= RETRY_AFTER_S_MAX


@given(
    st.integers(100, 999),
    st.lists(st.tuples(st.sampled_from([b"Location", b"Content-Encoding", b"x"]), st.binary())),
    st.binary(max_size=2 * ANSWER_BYTES_MAX),
)
def test_any_answer_is_an_attempt_in_harmless_words(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    attempt = read_answer(status, headers, body, NOW_S)
    assert attempt.is_delivered == (200 <= status < 300)
    assert attempt.is_delivered == (attempt.problem is None)
    assert len(attempt.answer) <= ANSWER_BYTES_MAX
    for text in (attempt.answer, attempt.problem or ""):
        assert all(letter.isprintable() or letter in "\t\n" for letter in text if letter < "\xa0")
