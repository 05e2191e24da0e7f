"""Flat names for nested fields."""

from app.fields import VALUES_MAX, field_names, flatten, lookup_values


def test_objects_open_up_and_lists_stay_whole() -> None:
    value = {"a": {"b": 1, "c": {"d": None}}, "e": [{"f": 1}], "g": {}}
    assert dict(flatten(value)) == {"a.b": 1, "a.c.d": None, "e": [{"f": 1}], "g": {}}
    assert field_names(value) == ("a.b", "a.c.d", "e", "g")
    assert field_names({"x": 1, "y": [2]}) == ("x", "y")


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
