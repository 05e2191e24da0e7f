"""Lines that are cut out of bodies say what reading and writing them says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.export.record_lines import callback_lines, record_lines
from app.export.records import results_in
from app.store.views import CountedCallback
from tests.project.test_merge import spelled

KEYS = ("results", "output", "data")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
BODY = st.fixed_dictionaries(
    {"run": st.just({"run_uid": "r"})},
    optional={
        "input": VALUES,
        "custom_data": VALUES,
        "results": VALUES,
        "output": VALUES,
        "data": st.dictionaries(TEXT, VALUES, max_size=3),
        "unknown": VALUES,
    },
)


def callback(body: bytes) -> CountedCallback:
    return CountedCallback(1, "c1", b"key", b"content", "b", 1_700_000_000_123, body)


@given(BODY, st.integers(0, 3))
def test_they_say_the_same_whatever_the_spelling(body: dict[str, Any], way: int) -> None:
    one = callback(spelled(body, way))
    cut = callback_lines("run", [one, one], KEYS)
    read = record_lines(results_in("run", one, KEYS)) * 2
    assert [json.loads(line) for line in cut] == [json.loads(line) for line in read]
    assert not any(b"\n" in line for line in cut)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"b":1.50,"a":2}', '{"b":1.50,"a":2}'),  # as the sender spelled it
        ('{"b":1,\n"a":2}', '{"a":2,"b":1}'),  # not on one line: written anew
        ('{"a":"\\ud83d\\ude00"}', '{"a":"😀"}'),
        ('{"a":"\\ud800"}', '{"a":"�"}'),  # half a character
        ('{"a":"\\u00e9"}', '{"a":"\\u00e9"}'),
        ('{"a":' + "9" * 30 + "}", '{"a":' + "9" * 30 + "}"),
        ("[" * 400 + "]" * 400, "[" * 400 + "]" * 400),
    ],
)
def test_a_result_is_spelled_as_it_came_where_that_can_be(text: str, line: str) -> None:
    body = f'{{"run":{{"run_uid":"r"}},"results":[{text}]}}'.encode()
    (found,) = callback_lines("run", [callback(body)], KEYS)
    assert found.decode().endswith(f'"data":{line}}}')
