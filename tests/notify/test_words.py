"""Pieces of events on one line, whatever came in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.words import count, error_words, line, listed, many, member, place_of, run_name

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.integers(1, 50))
def test_any_value_fits_on_one_line(value: object, length_max: int) -> None:
    text = line(value, length_max)
    assert len(text) <= length_max
    assert text == text.strip()
    assert text.isprintable()
    text.encode()


@given(JSON)
def test_nothing_that_comes_in_raises(value: object) -> None:
    for words in (error_words(value), run_name(value), place_of(value)):
        assert "\n" not in words
    member(value, "a", "b")
    assert many(value, "result") == "" or count(value) is not None


def test_text_is_kept_where_it_can_be_seen() -> None:
    assert line(" Zoë  met\r\nBcc: all\0\u202eeve\ud800 ") == "Zoë met Bcc: all eve"
    assert line("abcdef", 4) == "abc…"
    assert line({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'
    assert line(None) == ""


def test_numbers_read_well() -> None:
    assert many(1, "result") == "1 result"
    assert many(0, "result") == "0 results"
    assert many(1_234_567, "input") == "1,234,567 inputs"
    assert many(True, "result") == many("3", "result") == many(-1, "result") == ""
    assert listed("a", "", "b", "c") == "a, b and c"
    assert listed("a") == "a"
    assert listed("", "") == ""


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://user:pass@hooks.slack.com/services/T/B/secret?k=v", "https://hooks.slack.com"),
        ("http://[::1]:8080/x", "http://::1"),
        ("mailto:ops@example.com", "mailto:ops@example.com"),
        ("command:/usr/local/bin/hook --token=secret", "command"),
        ("http://[broken", ""),
        (None, ""),
    ],
)
def test_an_address_is_told_without_its_secrets(url: object, place: str) -> None:
    assert place_of(url) == place
