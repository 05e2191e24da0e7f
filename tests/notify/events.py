"""Data of events, as they go out, for tests of the channels."""

from typing import Any

RUN: dict[str, Any] = {
    "run_uid": "0197f0c2-aaaa-7000-8000-000000000001",
    "action_name": "linkedin-extract-people",
    "execution_mode": "async",
    "scheduled_run_uid": None,
    "status": "PARTIAL_SUCCEEDED",
    "completeness": "incomplete",
    "counts": {
        "callbacks": 288,
        "duplicates": 1,
        "results": 1_188,
        "expected_results": 1_200,
        "inputs": 300,
        "inputs_succeeded": 288,
        "inputs_failed": 12,
        "inputs_pending": 0,
    },
    "missing": {"results": 12, "inputs": 1, "callbacks": ["c1", "c2"]},
    "first_received_at": "2026-11-24T10:00:00.000Z",
    "last_received_at": "2026-11-24T11:00:00.000Z",
    "finished_at": "2026-11-24T11:00:01.000Z",
    "reconciled_at": None,
    "last_error": {
        "label": "LIMIT_REACHED",
        "message": "Daily limit reached",
        "error_ref": "ref-9",
    },
}

INPUT_FAILED: dict[str, Any] = {
    "run_uid": RUN["run_uid"],
    "action_name": RUN["action_name"],
    "input": {
        "input_uid": "input-7",
        "input": {"linkedin_profile_url": "https://www.linkedin.com/in/ada"},
        "custom_data": {"row_id": 7},
        "status": "FAILED",
        "error": {"label": "NO_ACCESS", "message": "The profile is private"},
    },
}

QUARANTINED = {
    "quarantine_id": "q-1",
    "reason": "no_run_uid",
    "detail": "the body has no run.run_uid",
    "body_bytes": 2_048,
}
CONFLICT = {"run_uid": RUN["run_uid"], "callback_ref_uid": "callback-5"}
LOST = {"run_uid": RUN["run_uid"], "cause": "Edges recorded HTTP 404", "results": 3, "inputs": 1}
MISSED = {
    "scheduled_run_uid": "schedule-1",
    "action_name": "salesnavigator-search-people",
    "due_at": "2026-11-24T06:00:00Z",
}
DISABLED = {
    "endpoint_id": "endpoint-1",
    "url": "https://user:pass@hooks.slack.com/services/T0/B0/very-secret?key=hidden",
    "reason": "nothing got through for 5 days",
}

RUN_TYPES = [
    "run.started",
    "run.succeeded",
    "run.partial_succeeded",
    "run.failed",
    "run.blocked",
    "run.stopped",
    "run.invalid",
    "run.completed",
    "run.incomplete",
]

EVENTS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(RUN_TYPES, RUN),
    "input.failed": INPUT_FAILED,
    "callback.quarantined": QUARANTINED,
    "callback.conflict": CONFLICT,
    "callbacks.lost": LOST,
    "schedule.missed": MISSED,
    "endpoint.disabled": DISABLED,
    "endpoint.test": {},
}
"""Each type that goes out, with data of its shape."""
