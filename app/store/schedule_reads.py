"""What is read of schedules, alike in both stores; statements as in `app.store.spelling`."""

from collections.abc import Sequence

from app.store.spelling import Spelling
from app.store.views import ScheduleFilter, ScheduleView

NAMED_MAX = 1_000
"""As many schedules as runs may name before some are not looked up by themselves."""

_COLUMNS = "schedule_uid, status, action_name, record, phases, first_seen_ms, told_ms, judged_ms"
# From one schedule to the next in the index, however many runs each of them has.
_NAMED = """
    WITH RECURSIVE named (uid) AS (
        SELECT min(scheduled_run_uid) FROM runs WHERE scheduled_run_uid > ''
        UNION ALL
        SELECT (SELECT min(r.scheduled_run_uid) FROM runs r WHERE r.scheduled_run_uid > named.uid)
        FROM named WHERE named.uid IS NOT NULL
    )
    SELECT uid FROM named WHERE uid IS NOT NULL LIMIT ?
"""


class ScheduleReads(Spelling):
    """Reads of schedules. Everything raises StoreUnavailableError."""

    async def schedules(
        self, chosen: ScheduleFilter, *, after: str, limit: int
    ) -> list[ScheduleView]:
        """Schedules by uid, after one ("" for the start)."""
        conditions, values = ["schedule_uid > ?"], [after]
        for column in ("status", "action_name"):
            value = getattr(chosen, column)
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        rows = await self._rows(
            f"SELECT {_COLUMNS} FROM {self.log_schema}schedules"
            f" WHERE {' AND '.join(conditions)} ORDER BY schedule_uid LIMIT ?",
            *values,
            limit,
        )
        return [ScheduleView(*row) for row in rows]

    async def schedules_by_uid(self, uids: Sequence[str]) -> dict[str, ScheduleView]:
        """Those of these schedules that are known."""
        condition, value = self._among("schedule_uid", uids)
        rows = await self._rows(
            f"SELECT {_COLUMNS} FROM {self.log_schema}schedules WHERE {condition}", value
        )
        return {row[0]: ScheduleView(*row) for row in rows}

    async def schedules_only_named(self, limit: int) -> list[str]:
        """Uids that runs name as their schedule, of which nothing else is known."""
        named = [row[0] for row in await self._rows(_NAMED, NAMED_MAX)]
        known = await self.schedules_by_uid(named)
        return [uid for uid in named if uid not in known][:limit]

    async def missed_iterations(self, uid: str, *, from_ms: int, limit: int) -> dict[int, int]:
        """The last iterations of a schedule that were noted as missed: due and noted time."""
        rows = await self._rows(
            f"SELECT due_ms, noted_ms FROM {self.log_schema}missed_iterations"
            " WHERE schedule_uid = ? AND due_ms >= ? ORDER BY due_ms DESC LIMIT ?",
            uid,
            from_ms,
            limit,
        )
        return dict(map(tuple, rows))
