"""Events that are raised where something is written: how they are kept until they are told."""

from app.event import Event, EventType, event
from app.model import Quarantined, timestamp

EVENT_COLUMNS = ", ".join(Event._fields)
RAISE = f"INSERT INTO raised_events ({EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def quarantined_event(item: Quarantined) -> Event:
    """A body that was not understood came for the first time."""
    return event(
        EventType.CALLBACK_QUARANTINED,
        item.quarantine_id,
        time_ms=item.received_ms,
        data={
            "quarantine_id": item.quarantine_id,
            "reason": item.reason,
            "detail": item.detail,
            "content_type": item.content_type,
            "body_bytes": len(item.body),
        },
        subject=item.quarantine_id,
    )


def missed_event(uid: str, action_name: str | None, due_ms: int, now_ms: int) -> Event:
    """An iteration of a schedule should have come and did not."""
    return event(
        EventType.SCHEDULE_MISSED,
        str(due_ms),
        time_ms=now_ms,
        data={
            "scheduled_run_uid": uid,
            "action_name": action_name,
            "due_at": timestamp(due_ms),
        },
        subject=uid,
        action_name=action_name,
        scheduled_run_uid=uid,
    )
