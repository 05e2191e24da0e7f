"""Schedules in the log's file: statements for a transaction of the log's writer."""

from collections.abc import Sequence

from app.store.raised import RAISE, missed_event
from app.store.rows import ScheduleRow
from app.store.sqlite.driver import Connection


def save(connection: Connection, rows: Sequence[ScheduleRow]) -> list[str]:
    """Keep those of `rows` that are the successor of what is known; their uids."""
    return [
        row.uid
        for row in rows
        if connection.execute(
            "INSERT INTO schedules AS s (schedule_uid, status, action_name, record, phases,"
            " first_seen_ms, told_ms, judged_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)"
            " ON CONFLICT (schedule_uid) DO UPDATE SET status = excluded.status,"
            " action_name = excluded.action_name, record = excluded.record,"
            " phases = excluded.phases, told_ms = excluded.told_ms WHERE s.told_ms = ?7",
            row,
        ).rowcount
        == 1
    ]


def judge(
    connection: Connection,
    uid: str,
    missed: Sequence[int],
    *,
    from_ms: int,
    judged_ms: int,
    now_ms: int,
) -> bool:
    """Note that a schedule is judged up to `judged_ms`, if it was up to `from_ms`."""
    moved = connection.execute(
        "UPDATE schedules SET judged_ms = ? WHERE schedule_uid = ? AND judged_ms = ?",
        (judged_ms, uid, from_ms),
    ).rowcount
    if moved:
        ((action_name,),) = connection.execute(
            "SELECT action_name FROM schedules WHERE schedule_uid = ?", (uid,)
        ).fetchall()
        for due_ms in missed:
            is_new = connection.execute(
                "INSERT OR IGNORE INTO missed_iterations (schedule_uid, due_ms, noted_ms)"
                " VALUES (?, ?, ?)",
                (uid, due_ms, now_ms),
            ).rowcount
            if is_new:
                connection.execute(RAISE, missed_event(uid, action_name, due_ms, now_ms))
    return bool(moved)


def take_turn(connection: Connection, name: str, every_ms: int, now_ms: int) -> bool:
    """Whether the last turn was so long ago; if so, this is the next one."""
    taken = connection.execute(
        "INSERT INTO turns AS t (name, taken_ms) VALUES (?1, ?2)"
        " ON CONFLICT (name) DO UPDATE SET taken_ms = excluded.taken_ms"
        # A time to come is of a clock that was set back since.
        " WHERE t.taken_ms <= ?2 - ?3 OR t.taken_ms > ?2",
        (name, now_ms, every_ms),
    )
    return bool(taken.rowcount == 1)
