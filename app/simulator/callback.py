"""A callback on Edges' side: its record, and the body that is sent for it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import orjson

from app.simulator.chance import uid
from app.simulator.errors import input_error, standard_error
from app.simulator.run import Page, Run

Json = dict[str, Any]

REPLAYS_MAX = 3


@dataclass(slots=True, eq=False)
class Callback:
    """One logical callback, or one replay of it. Its body is made anew when it is sent."""

    uid: str
    run: Run
    page: Page
    ordinal: int
    """Its place among the run's callbacks; what its fate is drawn for."""
    created_at: datetime
    original: "Callback | None" = None
    replay_count: int = 0
    status: str = "PENDING"
    attempt_count: int = 0
    http_status: int | None = None
    http_response: str | None = None
    failure: str | None = None
    loss: Literal["dropped", "lied", "withheld"] | None = None
    """Why it is never sent, for the control plane; None if it is."""

    @property
    def retry_count(self) -> int:
        """Attempts after the first."""
        return max(0, self.attempt_count - 1)

    @property
    def batch_uid(self) -> str | None:
        """The batch that the callback's input belongs to; None where the scenario hides it."""
        if not self.run.launch.scenario.callback_has_batch_uid:
            return None
        return self.run.batch_uid(self.page)

    @property
    def is_withheld(self) -> bool:
        """Whether its results are lost: neither it nor a replay of it is ever sent."""
        page = self.page
        if page.is_final_callback:
            return False
        return self.run.is_withheld(page.round_number, page.input_index, page.number)

    @property
    def ref_uid(self) -> str:
        """The `callback_ref_uid` of its body."""
        scenario = self.run.launch.scenario
        named = self.original if self.original and scenario.replay_keeps_ref else self
        return named.uid if scenario.ref_is_record_uid else uid(named.uid, "ref")

    def record(self, workspace_uid: str) -> Json:
        """The callback as `/runs/callbacks` lists it: without its payload."""
        target = self.run.launch.callback
        failed = self.status == "FAILED"
        return {
            "uid": self.uid,
            "parent_uid": self.original.uid if self.original else None,
            "retry_count": self.retry_count,
            "created_at": moment(self.created_at),
            "status": self.status,
            "callback_url": target.url if target else None,
            "http_status": self.http_status,
            "http_response": self.http_response,
            "batch_uid": self.batch_uid,
            "run_uid": self.run.uid,
            "error": standard_error("INTEGRATION_ERROR", self.failure, ref=uid(self.uid, "error"))
            if failed
            else None,
            "workspace_uid": workspace_uid,
        }

    def body(self) -> bytes:
        """The body to POST. The same bytes at every attempt."""
        run, page = self.run, self.page
        body: Json = {
            "callback_ref_uid": self.ref_uid,
            "run": {
                "run_uid": run.uid,
                "batch_uid": self.batch_uid,
                "status": run.status_in_callback(page),
            },
        }
        if page.is_final_callback:
            label = run.round(page.round_number).last_label
            if label and body["run"]["status"] in ("FAILED", "BLOCKED"):
                body["error"] = input_error(label, run.uid, page.round_number, page.input_index)
            return orjson.dumps(body)
        given = run.launch.inputs[page.input_index]
        if "custom_data" in given:
            body["custom_data"] = given["custom_data"]
        if run.launch.scenario.callback_has_input:
            body["input"] = input_data(given)
        body["results"] = [orjson.Fragment(result) for result in run.results_of(page)]
        label = run.outcome(page.input_index, page.round_number).error_label
        if label:
            body["error"] = input_error(label, run.uid, page.round_number, page.input_index)
        return orjson.dumps(body)


def input_data(given: Json) -> Json:
    """An input without its `custom_data`, which travels apart."""
    return {key: value for key, value in given.items() if key != "custom_data"}


def moment(at: datetime | float | None) -> str | None:
    """A time (a Unix time in seconds will do) in RFC 3339, UTC, milliseconds; None stays."""
    if at is None:
        return None
    at_s = at.timestamp() if isinstance(at, datetime) else at
    # A float of today holds microseconds, not always from above: 0.123 must not become 0.122.
    second, millisecond = divmod(int(at_s * 1_000 + 0.001), 1_000)
    return f"{_second(second)}.{millisecond:03}Z"


@lru_cache(1_024)  # lists show the same seconds over and over
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
