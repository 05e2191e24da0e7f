"""Marks: how far each run was projected at one time, by a number.

Numbers of callbacks are those of a run alone, so that one number cannot say what of all runs
somebody has seen. Each mark notes the runs that went on since the mark before it. Marks are made
one after another, under a lock: a later one never says less.
"""

from app.store.postgres.driver import STATEMENT_TIMEOUT_S, KeptConnection, outages
from app.store.protocol import Marks

KEPT_DAYS = 90
"""Older marks are thinned out: those who went by them must begin anew."""

PRUNE_EVERY = 500

_KNOWN = "SELECT coalesce(min(mark_no), 1), coalesce(max(mark_no), 0) FROM marks"
_NOTE = """
    INSERT INTO marked_runs (run_uid, mark_no, next_seq)
    SELECT p.run_uid, $1, p.next_seq FROM projections p
    LEFT JOIN LATERAL (
        SELECT m.next_seq FROM marked_runs m WHERE m.run_uid = p.run_uid
        ORDER BY m.mark_no DESC LIMIT 1
    ) AS marked ON true
    WHERE p.next_seq > coalesce(marked.next_seq, 1)
"""
_PRUNE = """
    WITH oldest AS (
        SELECT max(mark_no) AS mark_no FROM marks
        WHERE made_at < now() - $1 * interval '1 day'
    ), thinned AS (
        DELETE FROM marked_runs m USING oldest WHERE m.mark_no < oldest.mark_no AND EXISTS (
            SELECT FROM marked_runs later WHERE later.run_uid = m.run_uid
            AND later.mark_no > m.mark_no AND later.mark_no <= oldest.mark_no
        )
    )
    DELETE FROM marks USING oldest WHERE marks.mark_no < oldest.mark_no
"""


class PostgresMarks:
    """Makes marks, over a connection of its own."""

    def __init__(self, url: str) -> None:
        self._connection = KeptConnection(url, timeout_s=STATEMENT_TIMEOUT_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def mark(self) -> Marks:
        """The number of a mark that says how far all runs are projected now."""
        with outages():
            async with self._connection.held() as connection, connection.transaction():
                await connection.execute("LOCK TABLE marks IN SHARE ROW EXCLUSIVE MODE")
                oldest, latest = await connection.fetchrow(_KNOWN)
                known_from = 0 if oldest == 1 else oldest  # before the first, there was nothing
                if await connection.execute(_NOTE, latest + 1) == "INSERT 0 0":
                    return Marks(known_from, latest)
                await connection.execute("INSERT INTO marks (mark_no) VALUES ($1)", latest + 1)
                if (latest + 1) % PRUNE_EVERY == 0:
                    await connection.execute(_PRUNE, KEPT_DAYS)
                return Marks(known_from, latest + 1)
