"""How complete a run is, in sentences."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.dashboard.completeness_words import TEXT_LENGTH_MAX, clock, completeness_words

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
AT_1004 = "2026-11-25T10:04:09.000Z"


def run(completeness: str, **more: Any) -> dict[str, Any]:
    """A run's record, as far as it matters here; by default one that was compared with Edges."""
    counts = {"results": 1234, "expected_results": 1234, "inputs": 500, "inputs_failed": 0}
    return {
        "status": "RUNNING" if completeness == "open" else "SUCCEEDED",
        "completeness": completeness,
        "counts": counts | more.pop("counts", {}),
        "missing": None,
        "losses": None,
        "reconciliation": reconciliation(),
        "reconciled_at": AT_1004,
        **more,
    }


def reconciliation(**more: Any) -> dict[str, Any]:
    return {"checked_at": AT_1004, "next_at": None, "is_over": True, "problem": None, **more}


def refused(http_status: int | None = 503, **more: Any) -> dict[str, Any]:
    """A callback as Edges records that it could not be delivered."""
    return {
        "batch_uid": "b-1",
        "http_status": http_status,
        "error": None,
        "created_at": AT_1004,
        "replays_asked": 1,
        **more,
    }


def missing(results: int = 0, inputs: int = 0, **more: Any) -> dict[str, Any]:
    return {"results": results, "inputs": inputs, "callbacks": [], "short_inputs": [], **more}


def told(record: dict[str, Any]) -> str:
    """All that is said."""
    said = completeness_words(record, NOW)
    return " ".join([said.headline, *said.details])


def test_what_is_complete_says_since_when_and_that_nothing_is_left() -> None:
    said = completeness_words(run("complete"), NOW)
    assert said == (
        "ok",
        (
            "Every one of 500 inputs is accounted for, and the 1,234 results equal what Edges"
            " reports: complete since 10:04 UTC."
        ),
        [],
    )


def test_failed_inputs_and_recovered_results_of_a_complete_run_are_told() -> None:
    record = run(
        "complete",
        counts={"inputs_failed": 12},
        losses={"results": 7, "inputs": 1, "are_said_to_be_delivered": True},
    )
    words = told(record)
    assert "12 inputs failed, and are listed below" in words
    assert "7 results that no callback brought by itself were recovered" in words
    assert "1 input of which no callback told is known from Edges" in words
    assert "Edges records no failure of some callbacks" in words


def test_a_complete_run_without_results_claims_none() -> None:
    words = told(run("complete", counts={"results": 0, "expected_results": 0, "inputs": 1}))
    assert "The one input is accounted for, and Edges reports no results" in words


def test_what_is_missing_is_told_with_its_cause_and_what_is_done() -> None:
    record = run(
        "incomplete",
        counts={"results": 4988, "expected_results": 5000},
        missing=missing(12, 0, callbacks=[refused()]),
        reconciliation=reconciliation(is_over=False, next_at="2026-11-25T12:30:00.000Z"),
    )
    said = completeness_words(record, NOW)
    assert said.tone == "bad"
    assert said.headline == "4,988 of 5,000 results."
    assert said.details == [
        "12 results are missing.",
        (
            "1 callback of batch b-1 was refused by this server with 503 at 10:04 UTC; a replay was"
            " asked for. The collector, or a proxy in front of it, was down or overloaded."
        ),
        "Edges is asked again at 12:30 UTC.",
    ]


def test_causes_are_told_apart_and_batches_are_bounded() -> None:
    many = [refused(batch_uid=f"b-{number}", replays_asked=3) for number in range(5)]
    silent = refused(None, error="connect timeout.", created_at=None, replays_asked=0)
    record = run("incomplete", missing=missing(3, 2, callbacks=[silent, *many]))
    words = told(record)
    assert "5 callbacks of batches b-0, b-1, b-2 and 2 more were refused by this server" in words
    assert "each was replayed three times, which is all that Edges does" in words
    assert "1 callback of batch b-1 did not arrive at some time (connect timeout);" in words
    assert "Can the callback's URL be reached from outside?" in words
    assert "Of 2 inputs it is not known how they ended." in words
    assert "Nothing more is tried by itself" in words
    assert words.index("5 callbacks") < words.index("1 callback of")


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "callback.headers"), (404, "/callbacks"), (413, "COLLECTOR_MAX_BODY_BYTES"), (418, "")],
)
def test_an_answer_that_says_why_is_explained(status: int, advice: str) -> None:
    words = told(run("incomplete", missing=missing(1, callbacks=[refused(status)])))
    assert f"with {status}" in words
    assert advice in words


def test_short_inputs_and_a_surplus_are_told() -> None:
    short = [{"input_uid": "i-1", "results": 5}, {"input_uid": None, "results": 1}]
    record = run(
        "incomplete",
        counts={"results": 1240},
        missing=missing(0, 0, short_inputs=short, surplus_results=6),
    )
    words = told(record)
    assert "1,240 results, 6 more than Edges reports (1,234)." in words
    assert "input i-1 (5 fewer) and an input without a uid (1 fewer)" in words


def test_without_a_key_it_is_said_what_to_set() -> None:
    said = completeness_words(run("unverified", reconciliation=None), NOW)
    assert said.tone == "warn"
    assert said.headline.startswith("Finished, not verified: without COLLECTOR_EDGES_API_KEY")
    assert "COLLECTOR_EDGES_API_KEY" in told(run("open", reconciliation=None))


def test_what_keeps_edges_from_being_asked_is_said_once_with_when_it_is_tried_again() -> None:
    stuck = reconciliation(problem="the key is refused", next_at="2026-11-26T09:00:00.000Z")
    words = told(run("unverified", reconciliation=stuck))
    assert words.count("the key is refused") == 1
    assert "Edges is asked again at 2026-11-26 09:00 UTC." in words


def test_what_callbacks_say_is_no_end_until_edges_was_asked() -> None:
    words = told(run("unverified", reconciliation=reconciliation(checked_at=None, is_over=False)))
    assert words.startswith("Callbacks say succeeded, which may be true of their inputs alone")
    assert "Finished" in told(run("unverified"))


def test_a_run_that_goes_on_promises_nothing() -> None:
    said = completeness_words(run("open"), NOW)
    assert said.tone == "busy"
    assert "goes on (running)" in said.headline
    assert completeness_words(run("unverified"), NOW).tone == "busy"


def test_what_others_wrote_is_bounded() -> None:
    long = refused(None, error="x" * 5_000, batch_uid="y" * 5_000)
    said = completeness_words(run("incomplete", missing=missing(1, callbacks=[long])), NOW)
    assert max(map(len, said.details)) < 3 * TEXT_LENGTH_MAX


def test_times_of_another_day_have_their_date() -> None:
    assert clock("2026-11-24T10:04:00.000Z", NOW) == "2026-11-24 10:04 UTC"
    assert clock(None, NOW) == "some time"
