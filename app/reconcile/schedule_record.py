"""A schedule as Edges tells it, read with tolerance, and what was told of it over time. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from app.canonical import Json, canonical, parse
from app.model import read_status
from app.reconcile.iterations import Phase
from app.reconcile.timetable import Timetable
from app.store.rows import ScheduleRow
from app.store.views import ScheduleView

DELETED = "DELETED"
"""Our word for a schedule that Edges does not know, or no longer. Edges has none for it."""

UNKNOWN = "UNKNOWN"
"""Likewise for one of which no status was told."""

PHASES_MAX = 40
"""Of more, the oldest are forgotten."""

RECORD_BYTES_MAX = 64 * 1024
"""A larger record is kept without its large fields."""

_FIELD_BYTES_MAX = 4 * 1024
_TEXT_LENGTH_MAX = 200


class Told(NamedTuple):
    """What is read of a record; the rest of it is kept as it came."""

    uid: str | None
    name: str | None
    action_name: str | None
    status: str
    """Upper case."""
    timetable: Timetable
    created_ms: int | None
    updated_ms: int | None


def read_schedule(fields: Mapping[str, Json]) -> Told:
    """A record of `/schedules`. What is missing or makes no sense is None."""
    once_ms = time_ms(fields.get("schedule_at")) or time_ms(fields.get("scheduled_at"))
    return Told(
        uid=_text(fields.get("uid")) or _text(fields.get("scheduled_run_uid")),
        name=_text(fields.get("name")),
        action_name=_text(fields.get("action_name")),
        status=read_status(fields.get("status")) or UNKNOWN,
        timetable=Timetable(
            cron=_text(fields.get("cron")),
            timezone=_text(fields.get("timezone")) or "UTC",
            once_ms=once_ms,
        ),
        created_ms=time_ms(fields.get("created_at")),
        updated_ms=time_ms(fields.get("updated_at")),
    )


def row_of(
    uid: str, fields: Mapping[str, Json], before: ScheduleView | None, told_ms: int
) -> ScheduleRow:
    """What to keep of `fields`, told at `told_ms` of the schedule that stood as `before`."""
    told = read_schedule(fields)
    phases = phases_of(before) if before else []
    return ScheduleRow(
        uid=uid,
        status=told.status,
        action_name=told.action_name,
        record=_bounded(fields),
        phases=_encoded(phases_after(phases, told, told_ms)),
        told_ms=told_ms,
        after_told_ms=before.told_ms if before else None,
    )


def gone(uid: str, before: ScheduleView | None, told_ms: int) -> ScheduleRow:
    """What to keep of a schedule that Edges does not know, or no longer."""
    fields = record_of(before) if before else {"uid": uid}
    return row_of(uid, {**fields, "status": DELETED}, before, told_ms)


def phases_after(phases: Sequence[Phase], told: Told, told_ms: int) -> list[Phase]:
    """`phases`, oldest first, with what was told at `told_ms`.

    A change began when the schedule was updated, if that is told and makes sense, else when
    it was seen.
    """
    kept = [*phases]
    if not kept:
        return [Phase(told_ms, told_ms, told.status, told.timetable)]
    last = kept[-1]
    if (last.status, last.timetable) == (told.status, told.timetable):
        kept[-1] = replace(last, seen_until_ms=max(told_ms, last.seen_until_ms))
        return kept
    from_ms = told_ms
    if told.updated_ms is not None and last.seen_until_ms < told.updated_ms <= told_ms:
        from_ms = told.updated_ms
    kept.append(Phase(from_ms, told_ms, told.status, told.timetable))
    return kept[-PHASES_MAX:]


def phases_of(view: ScheduleView) -> list[Phase]:
    """What was told of a schedule over time, oldest first."""
    return msgspec.json.decode(view.phases, type=list[Phase])


def record_of(view: ScheduleView) -> dict[str, Json]:
    """What Edges last said of a schedule."""
    fields: dict[str, Json] = parse(view.record.encode())
    return fields


def time_ms(value: Json) -> int | None:
    """An ISO 8601 time as Unix milliseconds; without an offset it is UTC. None for all else."""
    if not isinstance(value, str) or len(value) > _TEXT_LENGTH_MAX:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        found = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return found if found >= 0 else None


def _text(value: Json) -> str | None:
    """A text that any store can hold; None for an empty one, and for other values."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value.strip().replace("\0", "?")[:_TEXT_LENGTH_MAX]


def _bounded(fields: Mapping[str, Json]) -> str:
    record = canonical(fields)
    if len(record) > RECORD_BYTES_MAX:
        small = {
            name: value
            for name, value in fields.items()
            if len(canonical(value)) + len(name) <= _FIELD_BYTES_MAX
        }
        record = canonical(dict([*small.items()][: RECORD_BYTES_MAX // _FIELD_BYTES_MAX]))
    return record.decode()


def _encoded(phases: Sequence[Phase]) -> str:
    return msgspec.json.encode(phases).decode()
