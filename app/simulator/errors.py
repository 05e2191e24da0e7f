"""The documented errors: labels, and the shapes in which the API states them."""

from dataclasses import dataclass
from typing import Any, Final

from app.simulator.chance import uid

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Label:
    """What goes with an error label: its scope, HTTP status and usual message."""

    scope: str
    status_code: int
    message: str


LABELS: Final = {
    "BAD_INPUT": Label("input", 400, "The input is not valid for this action."),
    "BAD_PARAMETERS": Label("input", 400, "A parameter is not valid."),
    "MISSING_PARAMETER": Label("input", 400, "A required parameter is missing."),
    "NO_ACCESS": Label("auth", 401, "The API key is missing or not valid."),
    "STATUS_404": Label("input", 404, "There is no such resource."),
    "NO_RESULT": Label("linkedin", 424, "No results."),
    "LK_ERROR": Label("linkedin", 424, "LinkedIn answered with an error."),
    "LK_524": Label("linkedin", 424, "LinkedIn did not answer in time."),
    "LK_MISSING_DATA": Label("linkedin", 424, "LinkedIn answered without the expected data."),
    "NO_DATA_LOADED": Label("linkedin", 424, "The page did not load any data."),
    "PROFILE_NOT_ACCESSIBLE": Label("linkedin", 424, "This profile cannot be viewed."),
    "SN_OUT_OF_NETWORK": Label("linkedin", 424, "The profile is out of your network."),
    "LIMIT_REACHED": Label("rate_limit", 429, "The daily limit of this identity is reached."),
    "STATUS_429": Label("rate_limit", 429, "Too many requests."),
    "INTEGRATION_ERROR": Label("callback", 424, "The callback was not accepted."),
    "PROXY_ERROR": Label("internal", 502, "The proxy of this identity did not answer."),
    "GENERIC_ERROR": Label("internal", 500, "Something went wrong."),
}

# Of what inputs fail with, and how often among each other. BAD_INPUT blocks instead.
INPUT_FAILURES: Final = (
    *("NO_RESULT",) * 6,
    *("PROFILE_NOT_ACCESSIBLE",) * 4,
    *("LK_ERROR",) * 3,
    *("LIMIT_REACHED",) * 2,
    "LK_524",
    "LK_MISSING_DATA",
    "NO_DATA_LOADED",
    "SN_OUT_OF_NETWORK",
    "STATUS_429",
    "PROXY_ERROR",
    "GENERIC_ERROR",
)


class EdgesError(Exception):
    """A request that the API refuses, or another failure that it reports by label."""

    def __init__(self, label: str, message: str | None = None, **params: object) -> None:
        super().__init__(message or LABELS[label].message)
        self.label = label
        self.message = message or LABELS[label].message
        self.params = params

    @property
    def status_code(self) -> int:
        """The HTTP status that goes with the label."""
        return LABELS[self.label].status_code


def standard_error(
    label: str, message: str | None = None, params: Json | None = None, *, ref: str
) -> Json:
    """The standard error format, as API answers and callbacks carry it."""
    known = LABELS[label]
    return {
        "error_label": label,
        "error_scope": known.scope,
        "error_ref": ref,
        "message": message or known.message,
        "status_code": known.status_code,
        "params": params or {},
    }


def params_of(label: str) -> Json:
    """The params of an input's failure. Fixed: a body does not depend on when it is made."""
    return {"postponed_until": "2027-01-01T00:00:00Z"} if label == "LIMIT_REACHED" else {}


def input_error(label: str, run_uid: str, round_number: int, input_index: int) -> Json:
    """An input's failure in the standard format."""
    ref = uid(run_uid, "error", round_number, input_index)
    return standard_error(label, params=params_of(label), ref=ref)
