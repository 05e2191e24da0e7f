"""Schedules in PostgreSQL, written over a connection of its own: never in the way of the log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from app.store.postgres.driver import OUTAGE, STATEMENT_TIMEOUT_S, KeptConnection, reason
from app.store.postgres.erasures import StaleTombstonesError, is_stale
from app.store.postgres.reader import numbered
from app.store.protocol import LogUnavailableError
from app.store.raised import RAISE, missed_event
from app.store.rows import ScheduleRow

_SAVE = """
    INSERT INTO schedules AS s (schedule_uid, status, action_name, record, phases,
        first_seen_ms, told_ms, judged_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $6, $6)
    ON CONFLICT (schedule_uid) DO UPDATE SET status = excluded.status,
        action_name = excluded.action_name, record = excluded.record,
        phases = excluded.phases, told_ms = excluded.told_ms
    WHERE s.told_ms = $7
    RETURNING schedule_uid
"""
_JUDGE = """
    WITH moved AS (
        UPDATE schedules SET judged_ms = $3 WHERE schedule_uid = $1 AND judged_ms = $2
        RETURNING schedule_uid
        , action_name
    ), noted AS (
        INSERT INTO missed_iterations (schedule_uid, due_ms, noted_ms)
        SELECT schedule_uid, due_ms, $5 FROM moved, unnest($4::bigint[]) AS m (due_ms)
        ON CONFLICT DO NOTHING RETURNING due_ms
    )
    SELECT action_name, due_ms FROM moved LEFT JOIN noted ON true ORDER BY due_ms
"""
# A time to come is of a clock that was set back since.
_TAKE_TURN = """
    INSERT INTO turns AS t (name, taken_at) VALUES ($1, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET taken_at = excluded.taken_at
    WHERE t.taken_at <= excluded.taken_at - make_interval(secs => $2)
        OR t.taken_at > excluded.taken_at
    RETURNING name
"""


class PostgresSchedules:
    """Writes what Edges says of schedules. Everything raises LogUnavailableError."""

    def __init__(self, url: str) -> None:
        self._connection = KeptConnection(url, timeout_s=STATEMENT_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def save(self, rows: Sequence[ScheduleRow], version: int) -> list[str]:
        """Keep those of `rows` that are the successor of what is known; their uids.

        They were looked through for tombstones of this version. Raises StaleTombstonesError.
        """
        # Two replicas that save the same ones do not wait for each other in a circle.
        ordered = sorted(rows, key=lambda row: row.uid)
        known = ("SELECT erasures_are_known($1)", version)
        _, *found = await self._run_all(known, *[(_SAVE, *row) for row in ordered])
        return [uid for one in found for (uid,) in one]

    async def judge(
        self, uid: str, missed: Sequence[int], *, from_ms: int, judged_ms: int, now_ms: int
    ) -> bool:
        """Note that a schedule is judged up to `judged_ms`, if it was up to `from_ms`."""
        with _refusals():
            async with self._connection.held() as connection, connection.transaction():
                moved = await connection.fetch(
                    _JUDGE, uid, from_ms, judged_ms, list(missed), now_ms
                )
                events = [
                    missed_event(uid, action_name, due_ms, now_ms)
                    for action_name, due_ms in moved
                    if due_ms is not None
                ]
                await connection.executemany(numbered(RAISE), events)
        return bool(moved)

    async def take_turn(self, name: str, every_s: float) -> bool:
        """Whether the last turn of any replica was so long ago; if so, this is the next one."""
        found = await self._run_all((_TAKE_TURN, name, every_s))
        return bool(found[0])

    async def _run_all(self, *statements: tuple[Any, ...]) -> list[list[Any]]:
        """The rows of each statement, in one transaction."""
        with _refusals():
            async with self._connection.held() as connection, connection.transaction():
                return [await connection.fetch(*statement) for statement in statements]


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OUTAGE as error:
        if is_stale(error):
            raise StaleTombstonesError from None
        raise LogUnavailableError(f"PostgreSQL cannot take it: {reason(error)}") from error
