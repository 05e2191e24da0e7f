"""Flat names for nested fields."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.fields import VALUES_MAX, escaped, flatten, lookup_values, parts, plain

KEY = st.text("a.\\", max_size=4)
OBJECT = st.dictionaries(
    KEY,
    st.recursive(
        st.none() | st.integers() | st.just({}) | st.lists(st.just(1), max_size=1),
        lambda inner: st.dictionaries(KEY, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def test_objects_open_up_and_lists_stay_whole() -> None:
    value = {"a": {"b": 1, "c": {"d": None}}, "e": [{"f": 1}], "g": {}}
    assert dict(flatten(value)) == {"a.b": 1, "a.c.d": None, "e": [{"f": 1}], "g": {}}


def test_deep_objects_end_in_a_value() -> None:
    value: dict[str, object] = {}
    for _ in range(500):
        value = {"k": value, "v": 1}
    assert len(dict(flatten(value))) < 40


def test_values_to_look_up_by_are_scalars_as_text() -> None:
    custom = {"id": 7, "who": {"mail": "a@b.c", "no": None}, "tags": ["x", 1, True], "l": "y" * 999}
    assert lookup_values(custom) == [
        ("id", "7"),
        ("who.mail", "a@b.c"),
        ("tags", "x"),
        ("tags", "1"),
        ("tags", "true"),
    ]
    assert lookup_values("plain") == [("", "plain")]
    assert lookup_values(None) == []
    assert len(lookup_values({"many": list(range(1000))})) == VALUES_MAX


def test_dots_of_names_are_told_from_those_of_levels() -> None:
    value = {"a.b": 1, "a": {"b": 2, "c\\": {"d": 3}}, "a.c\\": {"d": 4}}
    assert dict(flatten(value)) == {
        "a\\.b": 1,
        "a.b": 2,
        "a.c\\\\.d": 3,
        "a\\.c\\\\.d": 4,
    }
    assert [path for path, _ in lookup_values(value)] == ["a.b", "a.b", "a.c\\.d", "a.c\\.d"]


@given(OBJECT)
def test_flatten_is_injective(value: dict[str, Any]) -> None:
    fields = list(flatten(value))
    assert len(dict(fields)) == len(fields)
    assert unflattened(dict(fields)) == value


@given(OBJECT)
def test_objects_at_the_limit_of_depth_are_not_lost(value: dict[str, Any]) -> None:
    for _ in range(14):
        value = {"k": value}
    assert unflattened(dict(flatten(value))) == value


@given(st.lists(KEY, min_size=1))
def test_plain_names_are_as_people_write_them(path: list[str]) -> None:
    assert plain(".".join(map(escaped, path))) == ".".join(path)


def unflattened(fields: dict[str, Any]) -> dict[str, Any]:
    """The object with these fields."""
    value: dict[str, Any] = {}
    for name, item in fields.items():
        inner = value
        *levels, last = parts_of(name)
        for level in levels:
            inner = inner.setdefault(level, {})
        assert last not in inner
        inner[last] = item
    return value


def parts_of(name: str) -> list[str]:
    parts, characters = [""], iter(name)
    for character in characters:
        if character == ".":
            parts.append("")
        else:
            parts[-1] += next(characters) if character == "\\" else character
    return parts


@given(st.lists(st.text(st.sampled_from(".\\ab")), min_size=1, max_size=4))
def test_a_name_comes_apart_again(keys: list[str]) -> None:
    assert parts(".".join(map(escaped, keys))) == tuple(keys)
