"""Fields that are wanted, and those that are not: in columns and in nested records alike."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canonical import dumps
from app.export.chosen_fields import ChosenFields, SelectionError, columns_of
from app.export.layouts import JOINED, RESULTS
from app.export.records import opened_row
from app.export.result_set import ResultSet, Selection
from app.export.table import Shape
from app.store.views import ResultFilter
from tests.export.catalogued import fields_of
from tests.export.test_csv_writer import OBJECT, SECTION, result
from tests.soak import examples

ONE = result(
    {
        "full_name": "Zoë",
        "company": {"name": "A", "size": {"min": 1, "max": 5}},
        "experiences": [{"title": "CEO"}],
        "input": {"x": 1},
        "_run_uid": "of the data",
        "a.b": 1,
        "a": {"b": 2, "c": 3},
        "x,y": 7,
    },
    {"row_id": "r1", "list": "leads"},
    {"linkedin_profile_url": "https://…"},
)
COLUMNS = RESULTS.columns(fields_of([ONE]))


def set_of(*fields: str, omit: tuple[str, ...] = (), rows: Any = (ONE,)) -> ResultSet:
    return ResultSet([], ResultFilter(), fields_of(rows), (), Selection(fields, omit))


def made(chosen: ResultSet, shape: Shape, row: Any = ONE) -> Any:
    return json.loads(dumps(chosen.maker(shape)(row)))


def test_columns_come_as_they_were_named() -> None:
    chosen = set_of("_run_uid,full_name", "company", "custom_data.row_id,full_name")
    assert list(chosen.columns("flat").items()) == [
        ("_run_uid", "text"),
        ("full_name", "text"),
        ("company.name", "text"),
        ("company.size.max", "integer"),
        ("company.size.min", "integer"),
        ("custom_data.row_id", "text"),
    ]
    assert list(made(chosen, "flat")) == list(chosen.columns("flat"))


def test_records_are_pruned_alike() -> None:
    record = made(set_of("full_name", "company.size", "custom_data.row_id"), "record")
    assert record["data"] == {"full_name": "Zoë", "company": {"size": {"min": 1, "max": 5}}}
    assert record["custom_data"] == {"row_id": "r1"}
    assert "input" not in record
    assert record["run_uid"] == "run-1"  # where a result comes from is always told


def test_what_is_omitted_is_left_out_of_either_shape() -> None:
    chosen = set_of(omit=("company.size", "experiences,custom_data", "_received_at"))
    gone = {"company.size.max", "company.size.min", "experiences", "_received_at"}
    gone |= {"custom_data.row_id", "custom_data.list"}
    assert set(COLUMNS) - set(chosen.columns("flat")) == gone
    record = made(chosen, "record")
    assert record["data"]["company"] == {"name": "A"}
    assert record.keys().isdisjoint({"custom_data", "received_at"})
    assert "custom_data" not in chosen.columns("record")


def test_what_is_wanted_and_omitted_is_omitted() -> None:
    chosen = set_of("company", omit=("company.size.min",))
    assert list(chosen.columns("flat")) == ["company.name", "company.size.max"]
    assert made(chosen, "record")["data"] == {"company": {"name": "A", "size": {"max": 5}}}
    with pytest.raises(SelectionError, match="nothing is left"):
        set_of("company", omit=("company",))


@pytest.mark.parametrize(
    ("name", "column", "data"),
    [
        ("a\\.b", "a\\.b", {"a.b": 1}),
        ("a.b", "a.b", {"a": {"b": 2}}),
        ("\\input.x", "\\input.x", {"input": {"x": 1}}),
        ("\\_run_uid", "\\_run_uid", {"_run_uid": "of the data"}),
        ("x,y", "x,y", {"x,y": 7}),
    ],
)
def test_names_that_would_collide_are_told_apart(name: str, column: str, data: Any) -> None:
    chosen = set_of(name)
    assert list(chosen.columns("flat")) == [column]
    assert made(chosen, "record")["data"] == data


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("full_nam", "full_name"),
        ("row_id", "custom_data.row_id"),
        ("compny", "company"),
        ("run_uid", "_run_uid"),
        ("zzzzzz", ""),
    ],
)
def test_an_unknown_name_is_refused_with_near_ones(name: str, near: str) -> None:
    for fields, omit in (((name,), ()), ((), ("full_name," + name,))):
        with pytest.raises(SelectionError, match="no such field") as caught:
            set_of(*fields, omit=omit)
        assert caught.value.parameter == ("fields" if fields else "omit")
        assert name in str(caught.value)
        assert near in str(caught.value)
        assert ("is it" in str(caught.value)) == bool(near)


def test_without_any_fields_yet_every_name_is_taken() -> None:
    chosen = set_of("full_name", "custom_data.row_id", rows=())
    assert chosen.columns("flat") == {"full_name": "text", "custom_data.row_id": "text"}


def test_the_error_of_an_input_is_a_name() -> None:
    columns = JOINED.columns(fields_of([ONE]))
    chosen = ChosenFields(JOINED, columns, ("error", "full_name"), ("error.params",))
    assert list(chosen.columns)[:2] == ["error.label", "error.message"]
    assert "error" in chosen.record_columns()
    assert "error" not in ChosenFields(JOINED, columns, (), ("error",)).record_columns()


@given(OBJECT, SECTION, st.data())
@settings(max_examples=examples(40))
def test_either_shape_keeps_the_same(data: Any, custom_data: Any, draw: st.DataObject) -> None:
    """Flattening what is left of a record gives what is left of the columns."""
    one = result(data, custom_data)
    columns = RESULTS.columns(fields_of([one]))
    names = draw.draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, max_size=3))
    plain = [name for name in names if "," not in name]
    for fields, omit in ((plain, []), ([], plain)):
        if not plain or set(columns) == {c for n in omit for c in columns_of(n, columns)}:
            continue
        chosen = set_of(*fields, omit=tuple(omit), rows=[one])
        names_of = ChosenFields(RESULTS, columns, fields, omit)
        pruned = opened_row(RESULTS.sections, names_of.pruned()(RESULTS.values(one)))
        left = made(chosen, "flat", one)
        own = set(RESULTS.own)
        assert {n: v for n, v in pruned.items() if v not in (None, {})} == {
            n: v for n, v in left.items() if n not in own and v not in (None, {})
        }
