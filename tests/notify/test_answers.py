"""What is kept of an answer."""

from hypothesis import example, given
from hypothesis import strategies as st

from app.notify.answers import kept_answer
from app.notify.attempt import ANSWER_BYTES_MAX


@given(st.binary(max_size=3 * ANSWER_BYTES_MAX))
@example("é".encode() * ANSWER_BYTES_MAX)
@example(b"\xff" * ANSWER_BYTES_MAX)
@example(b"a\0b")
def test_any_answer_is_text_of_a_bounded_size(raw: bytes) -> None:
    kept = kept_answer(raw)
    assert len(kept.encode()) <= ANSWER_BYTES_MAX
    assert "\0" not in kept


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=ANSWER_BYTES_MAX))
def test_text_is_kept_to_the_last_whole_character(text: str) -> None:
    kept = kept_answer(text.encode())
    assert text.startswith(kept)
    assert len(text.encode()) - len(kept.encode()) < 4 or len(text.encode()) > ANSWER_BYTES_MAX
