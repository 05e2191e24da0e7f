"""Whatever JSON Edges answers with, it is read or refused, and what is read can be stored."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reconcile.answers import (
    NotJsonError,
    count_items,
    read_object,
    read_records,
    read_refusal,
    read_run,
)

RUN_FIELDS = (
    "uid", "status", "output_count", "action_name", "execution_mode", "scheduled_run_uid",
    "last_error", "parameters", "started_at", "finished_at", "created_at", "updated_at",
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
RUNS = st.dictionaries(st.sampled_from(RUN_FIELDS) | st.text(max_size=5), VALUES, max_size=12)


@given(RUNS)
def test_any_object_is_read_as_a_run(fields: dict[str, Any]) -> None:
    body = orjson.dumps(fields)
    run = read_run(body, read_object(body))
    assert run.fields == fields
    for text in (run.uid, run.status, run.action_name, run.scheduled_run_uid, run.started_at):
        assert text is None or (isinstance(text, str) and "\0" not in text)
    assert run.output_count is None or run.output_count >= 0
    assert run.last_error is None or "label" in run.last_error


@given(st.lists(VALUES, max_size=5))
def test_any_array_is_counted_and_its_objects_are_records(items: list[Any]) -> None:
    body = orjson.dumps(items)
    assert count_items(body) == len(items)
    records = read_records(body)
    assert [record.fields for record in records] == [x for x in items if isinstance(x, dict)]
    for record in records:
        _ = (record.uid, record.status, record.error, record.batch_uid, record.parent_uid)


@given(st.binary(max_size=60) | VALUES.map(orjson.dumps), st.integers(300, 499))
def test_any_refusal_becomes_an_error_of_the_one_shape(body: bytes, status: int) -> None:
    error = read_refusal(status, body)
    assert set(error) == {
        "label", "message", "scope", "status_code", "error_ref", "params", "retryable",
    }  # fmt: skip
    assert isinstance(error["label"], str)


@pytest.mark.parametrize("body", [b"", b"[1,", b"{", b"<html>", b"[NaN]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_told_apart(body: bytes) -> None:
    for read in (count_items, read_records, read_object):
        with pytest.raises(NotJsonError):
            read(body)


def test_what_is_json_of_another_shape_is_described() -> None:
    with pytest.raises(TypeError, match="object with the keys data, total"):
        count_items(b'{"total": 1, "data": []}')
    with pytest.raises(TypeError, match="an array"):
        read_object(b"[]")
    with pytest.raises(TypeError, match="null"):
        read_records(b"null")
