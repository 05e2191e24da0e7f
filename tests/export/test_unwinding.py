"""Lists that become rows, and the columns that they then have."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canonical import Json, canonical
from app.export.csv_writer import CsvWriter
from app.export.layouts import UNWOUND
from app.export.records import Result
from app.export.table import row_lines
from app.export.unwinding import unwound, unwound_fields
from app.store.views import Fields
from tests.export.catalogued import fields_of
from tests.export.test_csv_writer import VALUE, result
from tests.soak import examples

PEOPLE = [
    {"name": "Zoë", "jobs": [{"title": "CEO", "at": {"name": "A"}}, {"title": "CTO", "n": [1]}]},
    {"name": "Ada", "jobs": []},
    {"name": "Bob", "jobs": None},
    {"name": "Cy"},
    {"name": "Di", "jobs": ["plain", None, {"title": 5}]},
]


def rows_of(data: list[Any], path: tuple[str, ...]) -> list[Result]:
    return list(unwound(path, [result(one, place=place) for place, one in enumerate(data)]))


def test_each_element_is_a_row_in_its_place() -> None:
    rows = rows_of(PEOPLE, ("jobs",))
    assert [(one.place, one.unwind_index) for one in rows] == [
        (0, 0),
        (0, 1),
        (1, None),
        (2, None),
        (3, None),
        (4, 0),
        (4, 1),
        (4, 2),
    ]
    assert rows[0].data == {"name": "Zoë", "jobs": {"title": "CEO", "at": {"name": "A"}}}
    assert rows[2].data == {"name": "Ada"}
    assert [one.data["jobs"] for one in rows[5:]] == ["plain", None, {"title": 5}]


def test_elements_that_are_objects_have_columns() -> None:
    fields = unwound_fields(fields_of(map(result, PEOPLE)), "jobs")
    assert UNWOUND.columns(fields) == {
        "jobs": "text",
        "jobs.at.name": "text",
        "jobs.n": UNWOUND.columns(fields)["jobs.n"],
        "jobs.title": "text",
        "name": "text",
        "_unwind_index": "integer",
        "_run_uid": "text",
        "_result_id": "text",
        "_received_at": "time",
    }
    writer = CsvWriter(["name", "jobs", "jobs.title", "jobs.at.name", "jobs.n", "_unwind_index"])
    lines = row_lines(writer, UNWOUND)(rows_of(PEOPLE, ("jobs",))).decode().splitlines()
    assert lines == [
        "Zoë,,CEO,A,,0",
        "Zoë,,CTO,,[1],1",
        "Ada,,,,,",
        "Bob,,,,,",
        "Cy,,,,,",
        "Di,plain,,,,0",
        "Di,,,,,1",
        "Di,,5,,,2",
    ]


def test_a_list_within_an_object_is_unwound() -> None:
    data = [{"a": {"b": [1, 2], "c": 3}}, {"a": {"b": []}}, {"a": 5}, {"a.b": [7]}]
    rows = rows_of(data, ("a", "b"))
    assert [one.data for one in rows] == [
        {"a": {"b": 1, "c": 3}},
        {"a": {"b": 2, "c": 3}},
        {"a": {}},
        {"a": 5},
        {"a.b": [7]},
    ]
    assert data[0] == {"a": {"b": [1, 2], "c": 3}}


def test_types_are_those_of_the_elements() -> None:
    data = [{"a": [1, 2]}, {"a": [None]}, {"b": [[1.5]]}, {"b": [[], [2]]}]
    fields = fields_of(map(result, data))
    assert UNWOUND.columns(unwound_fields(fields, "a"))["a"] == "integer"
    nested = UNWOUND.columns(unwound_fields(fields, "b"))["b"]
    assert nested == UNWOUND.columns(fields_of([result({"b": [1.5, 2]})]))["b"]


def test_what_is_no_list_is_refused() -> None:
    fields = fields_of([result({"a": 5})])
    for name in ("a", "b"):
        with pytest.raises(ValueError, match="is no list"):
            unwound_fields(fields, name)
    with pytest.raises(ValueError, match="rebuild"):
        unwound_fields(Fields.of([("data", "a", 2047)]), "a")


ELEMENT = st.dictionaries(st.sampled_from(["x", "y", "x.y", ""]), VALUE, max_size=3) | VALUE
LISTED = st.fixed_dictionaries(
    {"l": st.lists(ELEMENT, max_size=3) | VALUE}
) | st.fixed_dictionaries({"o": VALUE, "l.x": VALUE})


@given(st.lists(LISTED, max_size=5))
@settings(max_examples=examples(50))
def test_every_value_has_a_column(data: list[Any]) -> None:
    fields = fields_of(map(result, data))
    if not any(isinstance(one.get("l"), list) for one in data):
        return
    columns = UNWOUND.columns(unwound_fields(fields, "l"))
    seen: set[str] = set()
    for row in rows_of(data, ("l",)):
        flat = UNWOUND.flat(row)
        told = {name for name, value in flat.items() if not is_nothing(value)}
        assert told <= columns.keys()
        seen |= flat.keys()
    assert columns.keys() <= seen | set(UNWOUND.own)
    writer = CsvWriter(columns)
    rows = rows_of(data, ("l",))
    assert row_lines(writer, UNWOUND)(rows) == writer.rows(map(UNWOUND.flat, rows))


def is_nothing(value: Json) -> bool:
    return value is None or canonical(value) == b"{}"
