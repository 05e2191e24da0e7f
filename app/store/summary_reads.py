"""What is counted of a run for its summary, alike in both stores."""

from collections.abc import Sequence
from typing import Any

from app.store.spelling import Spelling


class SummaryReads(Spelling):
    """Counts, by reading the rows of one run. Everything raises StoreUnavailableError."""

    async def inputs_by_status(self, run_uid: str) -> list[tuple[str, int]]:
        """(Status, inputs)."""
        return await self._counted_inputs(run_uid, "i.status")

    async def inputs_by_error(self, run_uid: str) -> list[tuple[str, int]]:
        """(Error label, inputs), the most frequent first."""
        return await self._counted_inputs(run_uid, "i.error_label")

    async def inputs_by_results(self, run_uid: str) -> list[tuple[int, int]]:
        """(Results, inputs that callbacks brought so many for)."""
        return sorted(await self._counted_inputs(run_uid, "i.results"))

    async def _counted_inputs(self, run_uid: str, column: str) -> list[tuple[Any, int]]:
        rows = await self._rows(
            f"SELECT {column}, count(*) FROM {self._inputs_from('')}"
            f" WHERE {self.run_is.format('i')} AND {column} IS NOT NULL"
            f" GROUP BY {column} ORDER BY count(*) DESC, {column}",
            run_uid,
        )
        return [(row[0], row[1]) for row in rows]

    async def callbacks_over_time(
        self, run_uid: str, width_ms: int
    ) -> Sequence[tuple[int, int, int]]:
        """(Number of the interval since 1970, callbacks, results that count), in order."""
        rows = await self._rows(
            "SELECT c.received_ms / CAST(? AS BIGINT) AS interval_no, count(*),"
            " sum(CASE WHEN c.lost_to IS NULL THEN c.results ELSE 0 END) FROM callbacks c"
            f" WHERE {self.run_is.format('c')} GROUP BY interval_no ORDER BY interval_no",
            width_ms,
            run_uid,
        )
        return [(row[0], row[1], row[2]) for row in rows]
