"""One sentence for each event."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.headlines import HEADLINE_LENGTH_MAX, headline
from tests.notify.events import DISABLED, EVENTS, RUN
from tests.notify.test_words import JSON

NAME = "linkedin-extract-people (0197f0c2-aaaa-7000-8000-000000000001)"
UID = "0197f0c2-aaaa-7000-8000-000000000001"


SENTENCES = {
    "run.started": f"Run {NAME} started",
    "run.succeeded": f"Run {NAME} succeeded with 1,188 results of 300 inputs so far;"
    " it is not yet verified that all arrived",
    "run.partial_succeeded": f"Run {NAME} succeeded only in part: 12 of 300 inputs failed;"
    " last error LIMIT_REACHED: Daily limit reached",
    "run.failed": f"Run {NAME} failed: LIMIT_REACHED: Daily limit reached",
    "run.blocked": f"Run {NAME} is blocked: LIMIT_REACHED: Daily limit reached",
    "run.stopped": f"Run {NAME} was stopped with 1,188 results of 300 inputs so far",
    "run.invalid": f"Edges found run {NAME} invalid: LIMIT_REACHED: Daily limit reached",
    "run.completed": f"Run {NAME} is complete: 1,188 results of 300 inputs are here,"
    " verified with Edges, with 12 failed inputs",
    "run.incomplete": f"Run {NAME} is incomplete; missing: 12 results, 1 input and 2 callbacks",
    "input.failed": f"An input of run {NAME} failed: NO_ACCESS: The profile is private",
    "callback.quarantined": "A callback was not understood, and is kept in quarantine:"
    " no_run_uid (the body has no run.run_uid)",
    "callback.conflict": f"Callback callback-5 of run {UID} came again with other content;"
    " both are kept, see which is right",
    "callbacks.lost": f"Callbacks of run {UID} were lost: 3 results and 1 input"
    " (Edges recorded HTTP 404)",
    "schedule.missed": "Schedule salesnavigator-search-people (schedule-1) missed its run of"
    " 2026-11-24T06:00:00Z",
    "endpoint.disabled": "Endpoint endpoint-1 at https://hooks.slack.com was disabled and gets"
    " no more events: nothing got through for 5 days",
    "endpoint.test": "This is a test: events of the Edges collector arrive here",
}


@pytest.mark.parametrize("event_type", EVENTS)
def test_each_event_is_one_sentence(event_type: str) -> None:
    assert headline(event_type, EVENTS[event_type]) == SENTENCES[event_type]


def test_an_event_of_a_later_version_has_a_sentence_too() -> None:
    assert headline("run.renamed", RUN) == f"Event run.renamed of run {NAME}"


@pytest.mark.parametrize("event_type", EVENTS)
def test_what_is_missing_is_left_out(event_type: str) -> None:
    shapes: list[Any] = [{}, None, [], dict.fromkeys(EVENTS[event_type])]
    for data in shapes:
        sentence = headline(event_type, data)
        assert len(sentence) > 10
        for trace in ("None", "null", "  ", ": ;", "()", " ,"):
            assert trace not in sentence
        assert sentence[-1] not in ":;,( "


@given(st.sampled_from([*EVENTS, "other"]), JSON, st.text())
def test_any_data_gives_one_bounded_line(event_type: str, value: object, text: str) -> None:
    shapes = [value]
    for name in (*RUN, *DISABLED, "input", "cause", "detail", "due_at", "callback_ref_uid"):
        shapes += [{name: value}, {**RUN, name: text * 500}]
    for data in shapes:
        sentence = headline(event_type, data)
        assert 0 < len(sentence) <= HEADLINE_LENGTH_MAX
        assert sentence.isprintable()


def test_a_single_result_is_told_as_one() -> None:
    data = {**RUN, "counts": {"results": 1, "inputs": 1, "inputs_failed": 0}}
    assert headline("run.completed", data) == (
        f"Run {NAME} is complete: 1 result of 1 input is here, verified with Edges"
    )


def test_the_secret_address_of_an_endpoint_is_not_told_to_others() -> None:
    sentence = headline("endpoint.disabled", DISABLED)
    assert "secret" not in sentence
    assert "pass" not in sentence
