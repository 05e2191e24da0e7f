"""A launch of an action, as asked for; read from the body of the request."""

import re
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from app.simulator.errors import EdgesError
from app.simulator.scenario import Scenario

Json = dict[str, Any]

INPUTS_MAX: Final = 100_000
IDENTITY_MODES: Final = ("managed", "direct", "auto")
INCREMENTAL_ACTIONS: Final = (
    "linkedin-extract-connections",
    "linkedin-extract-messages",
    "linkedin-extract-profile-viewers",
)
_ACTION_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?|")
# The sender's own; anything else is the user's to set.
_RESERVED_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """Where a run's callbacks go, with which headers, and whether all or only the final one."""

    url: str
    headers: dict[str, str]
    is_final_only: bool


@dataclass(frozen=True, slots=True)
class Launch:
    """What the user asked for."""

    action_name: str
    inputs: list[Json]
    """As sent, `custom_data` included."""
    identity_mode: str
    parameters: Json
    callback: CallbackTarget | None
    scenario: Scenario

    @property
    def max_results(self) -> int | None:
        """Results that an input yields in one round, at most."""
        limit: int | None = self.parameters.get("max_results")
        return limit

    @property
    def is_incremental(self) -> bool:
        """Whether the run may be continued."""
        return self.parameters.get("sync_mode") == "incremental"


def read_launch(action_name: str, body: object, scenario: Scenario) -> Launch:
    """The launch that a request body describes.

    Raises EdgesError (400 BAD_INPUT, BAD_PARAMETERS, MISSING_PARAMETER, 404 STATUS_404)
    that names what is wrong. Unknown keys are ignored, as the API is not known to mind.
    """
    if not _ACTION_NAME.fullmatch(action_name):
        raise EdgesError("STATUS_404", f"There is no action {action_name!r}.")
    if not isinstance(body, dict):
        raise EdgesError("BAD_INPUT", "The body must be a JSON object.")
    identity_mode = body.get("identity_mode", "auto")
    if identity_mode not in IDENTITY_MODES:
        raise _bad_parameter("identity_mode", f"must be one of {', '.join(IDENTITY_MODES)}")
    if not _are_strings(body.get("identity_ids", [])):
        raise _bad_parameter("identity_ids", "must be a list of strings")
    return Launch(
        action_name=action_name,
        inputs=_read_inputs(body.get("inputs")),
        identity_mode=identity_mode,
        parameters=_read_parameters(body.get("parameters", {}), action_name),
        callback=_read_callback(body.get("callback")),
        scenario=scenario,
    )


def _read_inputs(inputs: object) -> list[Json]:
    if inputs is None:
        raise EdgesError("MISSING_PARAMETER", "inputs is required.", parameter="inputs")
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= INPUTS_MAX:
        raise EdgesError("BAD_INPUT", f"inputs must be a list of 1 to {INPUTS_MAX} objects.")
    for index, given in enumerate(inputs):
        if not isinstance(given, dict):
            raise EdgesError("BAD_INPUT", f"inputs[{index}] must be an object.", index=index)
        if not isinstance(given.get("custom_data") or {}, dict):
            raise EdgesError(
                "BAD_INPUT", f"inputs[{index}].custom_data must be an object.", index=index
            )
    return inputs


def _read_parameters(parameters: object, action_name: str) -> Json:
    if not isinstance(parameters, dict):
        raise _bad_parameter("parameters", "must be an object")
    limit = parameters.get("max_results")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise _bad_parameter("parameters.max_results", "must be a whole number from 1")
    sync_mode = parameters.get("sync_mode")
    if sync_mode == "incremental" and action_name not in INCREMENTAL_ACTIONS:
        raise _bad_parameter(
            "parameters.sync_mode", f"is for {', '.join(INCREMENTAL_ACTIONS)} only"
        )
    if sync_mode not in (None, "full", "incremental"):
        raise _bad_parameter("parameters.sync_mode", 'must be "full" or "incremental"')
    return parameters


def _read_callback(callback: object) -> CallbackTarget | None:
    if callback is None:
        return None
    if not isinstance(callback, dict):
        raise _bad_parameter("callback", "must be an object")
    when = callback.get("on", "all")
    if when not in ("all", "final"):
        raise _bad_parameter("callback.on", 'must be "all" or "final"')
    return CallbackTarget(
        url=_read_url(callback.get("url")),
        headers=_read_headers(callback.get("headers") or {}),
        is_final_only=when == "final",
    )


def _read_url(url: object) -> str:
    if not isinstance(url, str):
        raise EdgesError("MISSING_PARAMETER", "callback.url is required.", parameter="callback.url")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise _bad_parameter("callback.url", f"is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _bad_parameter("callback.url", "must be an http or https URL")
    return url


def _read_headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, dict):
        raise _bad_parameter("callback.headers", "must be an object")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
            raise _bad_parameter("callback.headers", f"cannot set {name!r}")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise _bad_parameter("callback.headers", f"{name} must be printable ASCII text")
    return headers


def _are_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _bad_parameter(name: str, what: str) -> EdgesError:
    return EdgesError("BAD_PARAMETERS", f"{name} {what}.", parameter=name)
