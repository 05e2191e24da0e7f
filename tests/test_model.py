"""Statuses and errors: rules over sets, so that order cannot matter."""

import itertools

import pytest

from app.model import (
    RUN_STATUSES,
    callback_input_status,
    input_status,
    normalise_error,
    read_status,
    results_of,
    run_status,
)


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ([], "RUNNING"),
        (["RUNNING"], "RUNNING"),
        (["SUCCEEDED", "RUNNING"], "SUCCEEDED"),
        (["FAILED", "SUCCEEDED"], "PARTIAL_SUCCEEDED"),
        (["BLOCKED", "SUCCEEDED", "RUNNING"], "PARTIAL_SUCCEEDED"),
        (["STOPPED", "SUCCEEDED"], "STOPPED"),
        (["NEW_STATUS"], "NEW_STATUS"),
        (["NEW_STATUS", "RUNNING"], "RUNNING"),
    ],
)
def test_the_strongest_status_is_the_runs(seen: list[str], status: str) -> None:
    for order in itertools.permutations(seen):
        assert run_status(order) == status


def test_seeing_more_never_weakens_a_known_status() -> None:
    for few in itertools.combinations(RUN_STATUSES, 2):
        for more in RUN_STATUSES:
            if run_status(few) in RUN_STATUSES[4:]:
                assert run_status([*few, more]) in RUN_STATUSES[4:]


def test_an_input_that_was_tried_again_succeeded() -> None:
    assert input_status(["FAILED", "SUCCEEDED"]) == "SUCCEEDED"
    assert input_status(["FAILED", "RUNNING"]) == "FAILED"


@pytest.mark.parametrize(
    ("status", "has_error", "expected"),
    [
        ("SUCCEEDED", True, "FAILED"),
        ("RUNNING", True, "FAILED"),
        ("BLOCKED", True, "BLOCKED"),
        ("PARTIAL_SUCCEEDED", False, "SUCCEEDED"),
        ("INVALID", False, "BLOCKED"),
        (None, False, "RUNNING"),
    ],
)
def test_an_error_is_a_failure_of_the_input(
    status: str | None, has_error: bool, expected: str
) -> None:
    assert callback_input_status(status, has_error=has_error) == expected


@pytest.mark.parametrize(
    "raw",
    [
        {"error_label": "LK_ERROR", "message": "m", "error_scope": "s", "status_code": 424},
        {"label": "LK_ERROR", "message": "m", "scope": "s", "has_failed": True, "status_code": 424},
    ],
)
def test_errors_come_in_one_shape(raw: object) -> None:
    assert normalise_error(raw) == {
        "label": "LK_ERROR",
        "message": "m",
        "scope": "s",
        "status_code": 424,
        "error_ref": None,
        "params": None,
        "retryable": True,
    }


@pytest.mark.parametrize("raw", [None, {}, "", " ", [], 0, {"has_failed": False, "label": "X"}])
def test_no_error_is_no_error(raw: object) -> None:
    assert normalise_error(raw) is None


def test_a_bare_text_is_an_error_too() -> None:
    error = normalise_error("it broke")
    assert error is not None
    assert (error["label"], error["message"], error["retryable"]) == ("UNKNOWN", "it broke", False)


def test_results_are_looked_for_in_order() -> None:
    keys = ("results", "data")
    assert results_of({"data": {"a": 1}}, keys) == ("data", [{"a": 1}])
    assert results_of({"data": [1], "results": []}, keys) == ("results", [])
    assert results_of({"data": "text"}, keys) == (None, [])


def test_statuses_are_read_leniently() -> None:
    assert read_status(" pending ") == "PENDING"
    assert read_status(7) is None
