"""The schema of results: what it describes is valid by it, in whichever order it came."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from app.canonical import Json
from app.export.column_types import ListType, StructType
from app.export.result_schema import record_schema, section_schema, type_name
from tests.export.catalogued import fields_in

SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from([1.5, "x", "1"])
KEYS = st.sampled_from(["a", "b", "a.b", "\\", ""])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=5))
def test_what_was_seen_is_valid(results: list[dict[str, Json]]) -> None:
    schema = section_schema(fields_in(("data", result) for result in results), "data")
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for result in results:
        validator.validate(result)


def test_it_says_what_values_are() -> None:
    values: list[dict[str, Any]] = [
        {"id": 1, "at": "2025-01-02T03:04:05Z", "jobs": [{"title": "x"}], "geo": {"city": "y"}},
        {"id": "1", "at": None, "jobs": [{"years": 2}], "geo": {}, "tags": ["a"]},
    ]
    assert section_schema(fields_in(("data", one) for one in values), "data")["properties"] == {
        "at": {"type": ["string", "null"], "format": "date-time"},
        "geo": {"type": "object", "properties": {"city": {"type": "string"}}},
        "id": {"type": ["integer", "string"]},
        "jobs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "years": {"type": "integer"}},
            },
        },
        "tags": {"type": "array", "items": {"type": "string"}},
    }


def test_a_record_has_its_sections() -> None:
    schema = record_schema(fields_in([("data", {"a": 1}), ("custom_data", {"row_id": "r"})]))
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["custom_data"]["properties"] == {"row_id": {"type": "string"}}
    assert schema["properties"]["input"]["type"] == ["object", "null"]


def test_types_have_names() -> None:
    struct = StructType((("title", "text"), ("years", ListType("real"))))
    assert type_name(ListType(struct)) == "list<struct<title: text, years: list<real>>>"
