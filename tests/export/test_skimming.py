"""Skimming finds what reading finds, however odd the body is."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.canonical import parse
from app.export.keys import auto_key, key_fields
from app.export.skimming import Skim
from app.model import results_of
from tests.export.test_csv_writer import VALUE, result
from tests.soak import examples

RESULT_KEYS = ("results", "out put")
ACTION = "linkedin-extract-people"
ID = st.sampled_from([None, 1, "1", 2**70, "\\", "日本", 1.5, [1], {"a": 1}]) | VALUE
DATA = VALUE | st.dictionaries(
    st.sampled_from([*key_fields(ACTION)[:3], "full_name"]), ID, max_size=4
)
RESULTS = st.lists(DATA, max_size=4) | DATA


@given(st.dictionaries(st.sampled_from(["run", *RESULT_KEYS]), RESULTS), st.booleans())
@settings(max_examples=examples(60))
def test_keys_are_those_of_the_whole_body(body: dict[str, Any], is_ascii: bool) -> None:
    text = json.dumps(body, ensure_ascii=is_ascii).encode()
    key_of = auto_key(ACTION)
    whole = [key_of(result(data)) for data in results_of(parse(text), RESULT_KEYS)[1]]
    found = Skim(RESULT_KEYS, key_fields(ACTION)).skimmed(text)
    assert [key_of(one) for one in found] == whole
    found = Skim(RESULT_KEYS, key_fields(ACTION), with_text=True).skimmed(text)
    assert [key_of(one) for one in found] == whole
    assert [parse(one.text) for one in found] == results_of(parse(text), RESULT_KEYS)[1]


@pytest.mark.parametrize(
    "results",
    [
        '[{"linkedin_profile_id": "\\ud800"}, {"a": "\\ud800", "linkedin_profile_id": 2}]',
        '[{"linkedin_profile_id": ' + "1" * 5_000 + "}]",
        '[{"linkedin_profile_id": 1, "linkedin_profile_id": 2}]',
        '{"linkedin_profile_id": 1e400}',
        '[{"linkedin_profile_id": 1}, 5, null, [{"linkedin_profile_id": 2}]]',
        '"text"',
    ],
)
def test_what_only_an_exact_reading_understands(results: str) -> None:
    text = b'{"results": ' + results.encode() + b"}"
    key_of = auto_key(ACTION)
    whole = [key_of(result(data)) for data in results_of(parse(text), RESULT_KEYS)[1]]
    found = Skim(RESULT_KEYS, key_fields(ACTION)).skimmed(text)
    assert [key_of(one) for one in found] == whole
    found = Skim(RESULT_KEYS, key_fields(ACTION), with_text=True).skimmed(text)
    assert [key_of(one) for one in found] == whole
    assert [parse(one.text) for one in found] == results_of(parse(text), RESULT_KEYS)[1]


def test_other_fields_are_not_read() -> None:
    text = b'{"results": [{"linkedin_profile_id": 5, "full_name": "Zo", "more": [1, {"a": 2}]}]}'
    (one,) = Skim(RESULT_KEYS, ["linkedin_profile_id"]).skimmed(text)
    assert one.data == {"linkedin_profile_id": 5}
