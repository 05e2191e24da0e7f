"""What is read of a run's results, alike in both stores: callbacks that count, and pages."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from app.store.delta_reads import DeltaReads
from app.store.input_reads import ORDERS, after_key, order_key
from app.store.rows import NO_INPUT
from app.store.spelling import Where
from app.store.views import (
    CountedCallback,
    CountedPage,
    ResultFilter,
    ResultPosition,
    RunSnapshot,
)


class ResultReads(DeltaReads):
    """Reads of results. Everything raises StoreUnavailableError."""

    async def counted_callbacks(
        self,
        run: RunSnapshot,
        chosen: ResultFilter,
        *,
        after: ResultPosition,
        limit: int,
        bytes_max: int,
    ) -> list[CountedCallback]:
        """Callbacks whose results counted before `run.before_seq`, in export order, with bodies.

        From the callback of `after` on (itself included when `after.place` >= 0), at most
        `limit`, and about `bytes_max` of bodies, at least one if any is left.
        """
        rows: list[Any] = []
        if chosen.input_key is None and not chosen.custom and after.order_key == NO_INPUT:
            rows += await self._counted(run, chosen, after, limit)
        matching = None
        if chosen.custom and len(rows) < limit:
            matching = await self._few_inputs_with(run.run_uid, chosen.custom)
        for stretch in run.stretches:
            if len(rows) < limit and after.order_key[:1] <= stretch:
                left = limit - len(rows)
                rows += await self._counted(
                    run, chosen, after, left, stretch=stretch, matching=matching
                )
        sizes = accumulate(row[7] for row in rows)
        rows = rows[: 1 + sum(size < bytes_max for size in sizes)]
        bodies = await self._bodies(run.run_uid, [row[0] for row in rows])
        return [
            CountedCallback(
                seq, key, order_key(place, input_key), content, batch_uid, received_ms, bodies[seq]
            )
            for seq, key, place, input_key, content, batch_uid, received_ms, _ in rows
        ]

    async def spread_callbacks(
        self, run: RunSnapshot, *, every: int, limit: int, bytes_max: int
    ) -> list[CountedCallback]:
        """About one of `every` callbacks whose results count, with bodies, in order of arrival.

        At most `limit`, and about `bytes_max` of bodies. They have no order key.
        """
        where = self._counting(run)
        where.add("c.seq % ? = 0", every)
        return await self._by_arrival(run, where, limit=limit, bytes_max=bytes_max)

    def _counting(self, run: RunSnapshot) -> Where:
        """The callbacks `c` whose results count."""
        where = Where((self.run_is.format("c"), run.run_uid))
        where.add("c.content IS NOT NULL AND c.seq < ?", run.before_seq)
        where.add("(c.lost_to IS NULL OR c.lost_to >= ?)", run.before_seq)
        return where

    async def _counted(
        self,
        run: RunSnapshot,
        chosen: ResultFilter,
        after: ResultPosition,
        limit: int,
        *,
        stretch: bytes = NO_INPUT,
        matching: Sequence[int] | None = None,
    ) -> Sequence[Any]:
        """Callbacks whose results count: of one stretch of inputs, or of no input at all.

        Inputs are walked in their order, so that a page costs what is on it; where `matching`
        names a few of them, those are sorted instead.
        """
        where = self._counting(run)
        if chosen.received_after_ms is not None:
            where.add("c.received_ms > ?", chosen.received_after_ms)
        if chosen.received_before_ms is not None:
            where.add("c.received_ms < ?", chosen.received_before_ms)
        is_later = f"c.callback_key {'>=' if after.place >= 0 else '>'} ?"
        source, key, order = self.callbacks_from, "NULL, NULL", "c.callback_key"
        if not stretch:
            where.add(f"c.input_no = 0 AND {is_later}", after.callback_key)
        else:
            index, condition, columns = ORDERS[stretch]
            inputs = self._inputs_from(index if matching is None else "")
            source = f"{inputs} CROSS JOIN {self.callbacks_from}"
            key, order = "i.place, i.input_key", f"{columns}, c.callback_key"
            where.add(f"{self.run_is.format('i')} AND c.input_no = i.input_no", run.run_uid)
            where.add(condition)
            if after.order_key[:1] == stretch:
                mark, values = after_key(stretch, after.order_key)
                where.add(f"({columns}) >= {mark}", *values)
                where.add(f"(({columns}) > {mark} OR {is_later})", *values, after.callback_key)
            if chosen.input_key is not None:
                where.add("i.input_key = ?", chosen.input_key)
            if matching is not None:
                where.add(*self._among("i.input_no", matching))
            else:
                for pair in chosen.custom:
                    self._add_custom(where, "i", " AND v.input_no = i.input_no", pair)
        return await self._rows(
            f"SELECT c.seq, c.callback_key, {key}, c.content, c.batch_uid, c.received_ms,"
            f" c.body_bytes FROM {source} WHERE {where} ORDER BY {order} LIMIT ?",
            *where.values,
            limit,
        )

    async def counted_pages(self, run_uid: str) -> list[CountedPage]:
        """The pages of `/outputs` of which any result counts, in order."""
        rows = await self._rows(
            "SELECT p.walk_uid, p.page, p.seq, p.received_ms, p.counted FROM output_pages p"
            f" WHERE {self.run_is.format('p')} AND p.counted IS NOT NULL"
            " ORDER BY p.walk_uid, p.page",
            run_uid,
        )
        return [CountedPage(*row) for row in rows]

    async def raw_pages(self, run_uid: str, seqs: Sequence[int]) -> dict[int, bytes]:
        """The log entries of these pages, by seq."""
        return await self._bodies(run_uid, seqs)
