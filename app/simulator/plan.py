"""What a schedule is asked to do: a launch, and when; read from the body of the request."""

from dataclasses import dataclass
from typing import Any, Final

from app.simulator.errors import EdgesError
from app.simulator.launch import Launch, read_launch
from app.simulator.scenario import Scenario
from app.simulator.timing import Timing, read_timing

Json = dict[str, Any]

_NAME_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for, as it stood in the body and as it was understood."""

    body: Json
    name: str | None
    launch: Launch
    timing: Timing

    def changed(self, changes: object) -> "Plan":
        """The plan with parts replaced; of `cron` and `schedule_at` one replaces the other.

        Raises EdgesError (400) as `read_plan` does.
        """
        if not isinstance(changes, dict):
            raise EdgesError("BAD_INPUT", "The body must be a JSON object.")
        body = self.body
        if changes.get("cron") is not None or changes.get("schedule_at") is not None:
            body = {key: body[key] for key in body if key not in ("cron", "schedule_at")}
        return read_plan(self.launch.action_name, body | changes, self.launch.scenario)


def read_plan(action_name: str, body: object, scenario: Scenario) -> Plan:
    """The plan that a request body describes: a launch's, with its timing and perhaps a name.

    Raises EdgesError (400) that names what is wrong.
    """
    launch = read_launch(action_name, body, scenario)
    assert isinstance(body, dict)  # noqa: S101 (read_launch refuses anything else)
    name = body.get("name")
    if name is not None and not (isinstance(name, str) and len(name) <= _NAME_MAX):
        raise EdgesError("BAD_PARAMETERS", f"name must be text of at most {_NAME_MAX} characters.")
    return Plan(body, name, launch, read_timing(body))
