"""What to do about failed inputs."""

from app.dashboard.failure_words import ADVICE, FINAL, RETRYABLE, advice
from app.model import RETRYABLE_LABELS


def test_what_may_pass_is_advised_to_be_launched_again() -> None:
    for label in RETRYABLE_LABELS:
        words = advice(label, is_retryable=True)
        assert words == ADVICE[label]
        assert "again" in words or "later" in words


def test_unknown_labels_have_general_words() -> None:
    assert advice("SOMETHING_NEW", is_retryable=True) == RETRYABLE
    assert advice("SOMETHING_NEW", is_retryable=False) == FINAL


def test_each_advice_is_made_of_whole_sentences() -> None:
    for words in ADVICE.values():
        assert words.endswith(".")
        assert "  " not in words
