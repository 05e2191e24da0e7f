"""What is taken out of bodies, and what stays: by the rules, however it is spelled."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.canonical import canonical, digest, parse
from app.envelope import About, enveloped
from app.erased import MARK, content_digest, digest_of, input_key, is_erased, same_content
from app.erasing import Eraser, Tombstones, value_digest
from app.model import Arrival, Outcome, Source

KEY = b"k" * 32
WHO = {"id": "P"}


def eraser(*people: tuple[str, str]) -> Eraser:
    return Eraser(KEY, [(one, value_digest(KEY, one, value)) for one, value in people])


JANE = eraser(("id", "P"))


def without(value: Any, source: str = Source.CALLBACK) -> Any:
    erased = JANE.body(json.dumps(value).encode(), source)
    return None if erased is None else parse(erased.body)


def results_without(*results: Any) -> Any:
    changed = without({"run": {"run_uid": "r"}, "results": list(results)})
    return None if changed is None else changed["results"]


def test_a_whole_result_leaves_its_digest() -> None:
    gone, kept = results_without(WHO | {"name": "Jane"}, {"id": "Q"})
    assert gone == {MARK: digest(canonical(WHO | {"name": "Jane"})).hex()}
    assert kept == {"id": "Q"}


@pytest.mark.parametrize(
    ("result", "left"),
    [
        ({"id": "Q", "mutual": [WHO, {"id": "R"}]}, {"id": "Q", "mutual": [{"id": "R"}]}),
        ({"posts": [{"by": {"who": WHO}, "text": "hi"}]}, {"posts": []}),
        ({"a": [[WHO], [1]]}, {"a": [[], [1]]}),
    ],
)
def test_in_lists_the_smallest_record_goes(result: Any, left: Any) -> None:
    (changed,) = results_without(result)
    assert changed == left | {MARK: digest(canonical(result)).hex()}


def test_a_record_is_all_of_its_objects() -> None:
    (gone,) = results_without({"text": "from Jane", "sender": {"profile": WHO}})
    assert is_erased(gone)


@pytest.mark.parametrize(
    "value", [{"id": "p"}, {"id": "PP"}, {"ID": "P"}, {"id": ["P"]}, {"x": "P"}]
)
def test_others_are_left_alone(value: Any) -> None:
    assert results_without(value) is None


def test_numbers_are_compared_by_their_digits() -> None:
    number = eraser(("id", "42"))
    for text in ("42", '"42"'):
        assert number.body(b'{"results": [{"id": %s}]}' % text.encode())
    for text in ("42.0", "420", "true", '"042"', "4.2e1"):
        assert number.body(b'{"results": [{"id": %s}]}' % text.encode()) is None


@pytest.mark.parametrize(
    "spelled", [b'"\\u0069d" : "P"', b'"id":"\\u0050"', b'"id"\n:\t"P"', b'"id":"Q","id":"P"']
)
def test_it_is_found_however_it_is_spelled(spelled: bytes) -> None:
    assert JANE.body(b'{"results": [{%s}]}' % spelled)


def test_an_input_goes_with_its_custom_data_and_the_words_of_its_error() -> None:
    given, custom = WHO, {"crm": "Jane"}
    body = {
        "run": {"run_uid": "r"},
        "input": given,
        "custom_data": custom,
        "error": {"error_label": "NO_RESULT", "message": "no Jane", "status_code": 424},
        "results": [{"id": "Q"}],
    }
    changed = without(body)
    key = input_key(canonical(given), canonical(custom))
    assert input_key(canonical(changed["input"]), canonical(changed["custom_data"])) == key
    alias = input_key(b"null", canonical(custom))
    assert input_key(b"null", canonical(changed["custom_data"])) == alias
    assert changed["error"] == {"error_label": "NO_RESULT", "status_code": 424}
    assert changed["results"] == body["results"]
    assert "Jane" not in str(changed)


@pytest.mark.parametrize("source", [Source.RUN, Source.ACT, Source.CALLBACKS, Source.INPUTS])
def test_answers_of_edges_stay_what_they_are_but_for_the_person(source: Source) -> None:
    answer = [{"uid": "u", "input_data": WHO, "status": "FAILED", "last_error": {"message": "P"}}]
    value: Any = answer if source in (Source.INPUTS, Source.CALLBACKS) else answer[0]
    erased = JANE.body(enveloped(About(walk="w", page=3), canonical(value)), source)
    assert erased is not None
    changed = parse(erased.body)
    assert changed["about"] == {"walk": "w", "page": 3}
    one = changed["answer"][0] if isinstance(changed["answer"], list) else changed["answer"]
    assert (one["uid"], one["status"]) == ("u", "FAILED")
    assert "P" not in str(one["input_data"])


def test_what_is_no_json_goes_as_a_whole() -> None:
    for body in (b"id=P&name=Jane", b"{'id': 'P', 'name': 'Jane'}", b'{"id": "P", "name": "Ja'):
        assert b"Jane" not in (JANE.unread(body) or b"Jane")
    assert JANE.unread(b"id=Q&name=P") is None


def test_events_keep_their_shape() -> None:
    data = {
        "run_uid": "r",
        "input": {"input_uid": "i", "input": WHO, "custom_data": {"crm": 1}, "error": None},
    }
    changed = json.loads(JANE.record(json.dumps(data)) or "")
    assert changed["input"] == {"input_uid": "i", "input": None, "custom_data": None, "error": None}


def test_arrivals_of_erased_runs_are_repeats_of_nothing() -> None:
    tombstones = Tombstones(1, ["gone"], JANE)
    batch = [Arrival(run, "k", b'{"results":[{"id":"P"}]}', 1) for run in ("a", "gone", "b")]
    admitted = tombstones.admit(batch)
    assert [one.run_uid for one in admitted.arrivals] == ["a", "b"]
    assert admitted.changed == 2
    outcomes = admitted.outcomes([Outcome.STORED, Outcome.CONFLICT])
    assert outcomes == [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT]


values = st.recursive(
    st.sampled_from(["P", "Q", 1, None]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "other", "input", "error"]), inner, max_size=3)
    ),
    max_leaves=12,
)
bodies = st.dictionaries(
    st.sampled_from(["results", "input", "custom_data", "error", "id", "more", "run"]), values
)


@given(bodies, st.permutations([("id", "P"), ("other", "Q")]))
def test_nobody_is_left_order_does_not_matter_and_digests_stay(
    body: dict[str, Any], people: list[tuple[str, str]]
) -> None:
    text = canonical(body)
    by_turns = text
    for one in people:
        erased = eraser(one).body(by_turns)
        by_turns = erased.body if erased else by_turns
        assert eraser(one).body(by_turns) is None
    at_once = eraser(*people).body(text)
    assert canonical(parse(by_turns)) == canonical(parse(at_once.body if at_once else text))
    assert content_digest(by_turns) == content_digest(text)
    assert same_content(by_turns, text)
    assert not named(parse(by_turns), dict(people))
    old, new = body.get("results"), parse(by_turns).get("results")
    if isinstance(old, list):
        assert [digest_of(one) for one in new] == [digest_of(one) for one in old]


def named(value: Any, people: dict[str, str]) -> bool:
    if isinstance(value, dict):
        return any(
            (name in people and people[name] == item) or named(item, people)
            for name, item in value.items()
        )
    return isinstance(value, list) and any(named(item, people) for item in value)


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "Jane Döe, PhD", "x": ',
        '{"name":"Jane D\\u00f6e, PhD"',
        '{"name": "Jane Döe, PhD',
        "name=Jane+D%C3%B6e%2C+PhD&x=1",
        "{'name': 'Jane Döe, PhD'}",
    ],
)
def test_a_body_that_is_no_json_names_people_with_spaces_and_escapes(body: str) -> None:
    jane = eraser(("name", "Jane Döe, PhD"))
    assert b"Jane" not in (jane.unread(body.encode()) or b"Jane")
    assert eraser(("name", "Jane")).unread(body.encode()) is None
