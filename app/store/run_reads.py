"""What is read of runs, alike in both stores."""

from collections.abc import Sequence
from typing import Any

from app.store.spelling import Spelling, Where
from app.store.views import CallbackShare, RunFilter, RunView
from app.told import read_told

_RUN_COLUMNS = (
    "r.run_uid, r.status, r.completeness, r.action_name, r.execution_mode, r.scheduled_run_uid,"
    " r.callbacks, l.duplicates, r.conflicts, r.results, r.inputs, r.inputs_succeeded,"
    " r.inputs_failed, r.first_received_ms, r.last_received_ms, r.finished_ms, r.terminal_ms,"
    " r.expected_results, r.missing, r.lost_results, r.lost_inputs, r.verified_ms, l.respelled,"
    " r.told"
)
_RUN_SORTS = {
    "created": ("r.first_received_ms", ""),
    "-created": ("r.first_received_ms", " DESC"),
    "updated": ("r.last_received_ms", ""),
    "-updated": ("r.last_received_ms", " DESC"),
}


class RunReads(Spelling):
    """Reads of runs. Everything raises StoreUnavailableError."""

    async def runs(
        self, chosen: RunFilter, *, sort: str, after: tuple[int, str] | None, limit: int
    ) -> list[RunView]:
        """Runs in the order of `sort` (one of `RUN_SORTS`), after a (time in ms, run uid)."""
        column, direction = _RUN_SORTS[sort]
        where = self._runs_where(chosen)
        if after is not None:
            where.add(f"({column}, r.run_uid) {'<' if direction else '>'} (?, ?)", *after)
        return await self._runs(where, f"{column}{direction}, r.run_uid{direction}", limit)

    async def run(self, run_uid: str) -> RunView | None:
        """One run, None if no callback of it was projected."""
        found = await self._runs(Where(("r.run_uid = ?", run_uid)), "r.run_uid", 1)
        return found[0] if found else None

    async def runs_in_export_order(
        self, chosen: RunFilter, *, after_uid: str | None, limit: int
    ) -> list[RunView]:
        """Runs by their uid: the order of merged exports, which no arrival changes."""
        where = self._runs_where(chosen)
        if after_uid is not None:
            where.add("r.run_uid > ?", after_uid)
        return await self._runs(where, "r.run_uid", limit)

    async def callback_share(self, since_ms: int) -> CallbackShare:
        """How many results the runs have that called back since a time, and that were checked."""
        rows = await self._rows(
            "SELECT coalesce(sum(r.results), 0), coalesce(sum(r.lost_results), 0) FROM runs r"
            " WHERE r.last_received_ms >= ? AND r.verified_ms IS NOT NULL",
            since_ms,
        )
        results, lost = map(int, rows[0])
        return CallbackShare(results, results - lost)

    async def unproven_runs(self, *, after_uid: str, limit: int) -> list[RunView]:
        """Runs that are not complete, by uid."""
        where = Where(("r.completeness <> 'complete' AND r.run_uid > ?", after_uid))
        return await self._runs(where, "r.run_uid", limit)

    async def unproven_since(self, since_ms: int, *, limit: int) -> list[RunView]:
        """Of the runs that called back since a time, the latest ones that are not complete."""
        where = Where(("r.last_received_ms >= ?", since_ms))
        where.add("r.completeness <> 'complete'")
        return await self._runs(where, "r.last_received_ms DESC, r.run_uid DESC", limit)

    async def _runs(self, where: Where, order: str, limit: int) -> list[RunView]:
        rows = await self._rows(
            f"SELECT {_RUN_COLUMNS}, {self.next_seq} FROM {self.runs_from} WHERE {where}"
            f" ORDER BY {order} LIMIT ?",
            *where.values,
            limit,
        )
        return [_run_view(row) for row in rows]

    def _runs_where(self, chosen: RunFilter) -> Where:
        where = Where()
        for column in ("status", "completeness", "action_name", "scheduled_run_uid"):
            value = getattr(chosen, column)
            if value is not None:
                where.add(f"r.{column} = ?", value)
        if chosen.run_uids:
            where.add(*self._among("r.run_uid", chosen.run_uids))
        if chosen.created_after_ms is not None:
            where.add("r.first_received_ms > ?", chosen.created_after_ms)
        if chosen.search is not None:
            self._add_search(where, chosen.search)
        for pair in chosen.custom:
            self._add_custom(where, "r", "", pair)
        return where

    def _add_search(self, where: Where, text: str) -> None:
        """Only runs whose uid has `text` in it, or that have it as a value of custom_data."""
        _, value = self._custom(("", text))
        of_run = self.same_run.format("f", "r")
        where.add(
            f"({self.position}(r.run_uid, ?) > 0 OR EXISTS (SELECT 1 FROM fields f"
            f" JOIN custom_values v ON {self.same_run.format('v', 'f')} AND v.path = f.name"
            f" AND v.value = ? WHERE {of_run} AND f.section IN ('custom_data', 'custom_paths')))",
            text,
            value,
        )


def _run_view(row: Sequence[Any]) -> RunView:
    *columns, told, next_seq = row
    columns += [read_told(told) if told else None, next_seq]
    return RunView(*columns)
