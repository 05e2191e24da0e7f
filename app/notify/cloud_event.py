"""The envelope of an event: CloudEvents 1.0 in its JSON format, structured mode."""

from typing import Final

from app.canonical import Json, dumps
from app.model import timestamp

CONTENT_TYPE: Final = "application/cloudevents+json"
TYPE_PREFIX: Final = "edges.collector."


def cloud_event(
    *, event_id: str, event_type: str, source: str, subject: str | None, time_ms: int, data: Json
) -> bytes:
    """The body of a delivery, the same at each attempt.

    `source` is a URI reference to this collector, `event_type` is without prefix
    (`run.succeeded`), `subject` the uid of a run where the event is about one.
    """
    envelope: dict[str, Json] = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": TYPE_PREFIX + event_type,
    }
    if subject:  # the specification has no empty ones
        envelope["subject"] = subject
    envelope["time"] = timestamp(time_ms)
    envelope["datacontenttype"] = "application/json"
    envelope["data"] = data
    return dumps(envelope)
