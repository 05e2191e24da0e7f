"""Types of columns: exact, or text."""

from typing import Any

import pytest

from app.export.column_types import ColumnType, ListType, StructType, column_types
from app.kinds import NOT_RECORDED
from tests.export.catalogued import fields_in


def type_of(*values: Any) -> ColumnType:
    fields = fields_in(("data", {"x": value}) for value in values)
    return column_types(fields.kinds["data"], fields.within["data"])["x"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((True, None), "boolean"),
        ((1, 2**53 + 1, -(2**63) + 1), "integer"),
        ((1, 2.5), "real"),
        ((2**53 + 1, 2.5), "text"),  # a double would round it
        ((2**63,), "text"),
        ((1, "1"), "text"),
        ((1, True), "text"),
        (("007",), "text"),
        ((None,), "text"),
        (("2025-01-02T03:04:05Z", None), "time"),
        (("2025-01-02T03:04:05Z", ""), "text"),
        (("2025-01-02T03:04:05.1234567Z",), "text"),  # finer than microseconds
        (([],), ListType("text")),
        (([1], [None, 2]), ListType("integer")),
        (([1], ["a"]), ListType("text")),
        (([1], 1), "text"),
        (([[1.5]],), ListType(ListType("real"))),
        (([{}],), ListType("text")),
        (
            ([{"b": 1}, {"a": "t", "b": None}, {"c": [{"d": True}]}],),
            ListType(
                StructType(
                    (
                        ("a", "text"),
                        ("b", "integer"),
                        ("c", ListType(StructType((("d", "boolean"),)))),
                    )
                )
            ),
        ),
        (([{"b": 1}, 7],), ListType("text")),
        (({},), "text"),
    ],
)
def test_a_type_holds_all_values_exactly(values: Any, expected: ColumnType) -> None:
    assert type_of(*values) == expected
    assert type_of(*reversed(values)) == expected


def test_what_was_not_recorded_is_text() -> None:
    assert column_types({"x": NOT_RECORDED}, {}) == {"x": "text"}
