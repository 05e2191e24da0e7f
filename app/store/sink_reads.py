"""Reading what became of runs in standing sinks, alike in both stores."""

from app.store.sink_queue import RUN_COLUMNS
from app.store.sink_rows import SinkRunRow
from app.store.spelling import Spelling, Where


class SinkReads(Spelling):
    """Reads of the runs of sinks. Everything raises StoreUnavailableError."""

    async def sink_runs(
        self,
        sink_id: str,
        *,
        state: str | None = None,
        before: tuple[int, str] | None = None,
        limit: int,
    ) -> list[SinkRunRow]:
        """Runs of a sink, what changed last first, before a (time in ms, run uid)."""
        where = Where(("sink_id = ?", sink_id))
        if state is not None:
            where.add("state = ?", state)
        if before is not None:
            where.add("(changed_ms, run_uid) < (?, ?)", *before)
        rows = await self._rows(
            f"SELECT {RUN_COLUMNS} FROM {self.outbox_schema}sink_runs WHERE {where}"
            " ORDER BY changed_ms DESC, run_uid DESC LIMIT ?",
            *where.values,
            limit,
        )
        return [SinkRunRow(*row) for row in rows]

    async def sink_run(self, sink_id: str, run_uid: str) -> SinkRunRow | None:
        """One run of a sink; None if nobody asked for it."""
        rows = await self._rows(
            f"SELECT {RUN_COLUMNS} FROM {self.outbox_schema}sink_runs"
            " WHERE run_uid = ? AND sink_id = ?",
            run_uid,
            sink_id,
        )
        return SinkRunRow(*rows[0]) if rows else None

    async def sink_run_counts(self) -> dict[tuple[str, str], int]:
        """How many runs there are by sink and state; those of none are left out."""
        rows = await self._rows(
            f"SELECT sink_id, state, count(*) FROM {self.outbox_schema}sink_runs GROUP BY 1, 2"
        )
        return {(row[0], row[1]): int(row[2]) for row in rows}
