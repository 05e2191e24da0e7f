"""Reading and comparing JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.canonical import canonical, canonical_lines, digest, dumps, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_what_is_written_reads_back_the_same(value: object) -> None:
    for written in (dumps(value), canonical(value), json.dumps(value).encode()):
        assert parse(written) == value


@given(JSON, st.booleans())
def test_the_spelling_does_not_matter(value: object, is_indented: bool) -> None:
    spelled = json.dumps(value, indent=2 if is_indented else None).encode()
    assert canonical(parse(spelled)) == canonical(value)


@given(st.lists(JSON | st.sampled_from(["\0", ["\0", "\0"], 2**80, 1e16, [[2**80], 1e300]])))
def test_lines_are_what_each_value_is_by_itself(values: list[object]) -> None:
    assert canonical_lines(values) == b"\n".join(map(canonical, values))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551616", 2**64),
        ("-9223372036854775809", -(2**63) - 1),
        ("18446744073709551615", 2**64 - 1),
        ("1e400", "1e400"),
        ("9" * 5_000, "9" * 5_000),
        ('"1234567890123456789012345"', "1234567890123456789012345"),
        (r'"\ud83d\ude80 \ud83d"', "🚀 \ufffd"),
        (r'{"\ud800": 1}', {"\ufffd": 1}),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_awkward_values_are_read_without_loss(text: str, value: object) -> None:
    assert parse(text.encode()) == value
    assert parse(canonical(value)) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "", "{", "01", "'a'", "[1,]"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text.encode())


def test_a_digest_is_short_and_tells_apart() -> None:
    assert len(digest(b"a")) == 16
    assert digest(b"a") != digest(b"b")
