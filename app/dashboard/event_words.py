"""What each type of event says, in words for whoever chooses among them."""

from typing import NamedTuple

from app.event import EventType


class EventGroup(NamedTuple):
    """Types of events that belong together."""

    title: str
    types: dict[EventType, str]
    """By type, a sentence of when it comes."""


GROUPS = (
    EventGroup(
        "A run and its data",
        {
            EventType.RUN_COMPLETED: "Every input is accounted for and every result that Edges"
            " reports is here: the moment to fetch the file. Needs a key of the Edges API.",
            EventType.RUN_INCOMPLETE: "A run is over and some of it cannot be had. It says what"
            " is missing.",
            EventType.CALLBACKS_LOST: "Edges could not deliver callbacks of a run, and will not"
            " try again. The collector asks for them by other ways.",
            EventType.INPUT_FAILED: "One input of a run failed, with the reason. A large run may"
            " send many of these.",
        },
    ),
    EventGroup(
        "How a run goes, as Edges says",
        {
            EventType.RUN_STARTED: "The first callback of a run arrived.",
            EventType.RUN_SUCCEEDED: "Edges says that all of a run succeeded. Whether all of it"
            " arrived is not checked yet.",
            EventType.RUN_PARTIAL_SUCCEEDED: "Edges says that a run ended and some inputs failed.",
            EventType.RUN_FAILED: "Edges says that a run failed.",
            EventType.RUN_BLOCKED: "Edges holds a run back, for lack of credits or at a limit"
            " for instance. It goes on when it is resumed.",
            EventType.RUN_STOPPED: "A run was stopped before its end.",
            EventType.RUN_INVALID: "Edges refused what the run was started with.",
        },
    ),
    EventGroup(
        "For whoever runs this collector",
        {
            EventType.CALLBACK_QUARANTINED: "A body came that was not understood. It is kept in"
            " quarantine.",
            EventType.CALLBACK_CONFLICT: "A callback came again under its id with other content."
            " Both are kept.",
            EventType.SCHEDULE_MISSED: "A schedule should have started a run and did not.",
            EventType.ENDPOINT_DISABLED: "An endpoint failed for too long, or said that it is"
            " gone, and gets nothing any more. Send this one somewhere else.",
        },
    ),
)

WORDS: dict[str, str] = {kind: said for group in GROUPS for kind, said in group.types.items()}
ALL_TYPES = ",".join(EventType)
