"""What is read of a run's log in the order of arrival, alike in both stores."""

from abc import abstractmethod
from itertools import accumulate

from app.store.input_reads import InputReads
from app.store.spelling import Where
from app.store.views import (
    CountedCallback,
    DigestRow,
    PageDigests,
    ResultFilter,
    RunSnapshot,
    Window,
)

_CAME_BEFORE = (
    "EXISTS (SELECT 1 FROM {callbacks} WHERE {of_run} AND e.input_no = c.input_no"
    " AND e.content IS NOT NULL AND e.content = c.content AND e.seq < c.seq"
    " AND (e.lost_to IS NULL OR e.lost_to > e.seq))"
)
"""Whether something with the same content had counted before."""


class DeltaReads(InputReads):
    """Reads for deltas. Everything raises StoreUnavailableError."""

    @abstractmethod
    async def changed(self, *, first: int, after: int | None, until: int) -> dict[str, Window]:
        """The runs of which something was projected between two marks, by uid."""

    async def times_begun_anew(self, run_uid: str) -> int:
        """How often a run's numbers began anew, since all of it was deleted or had expired."""
        del run_uid
        return 0

    async def arrived(
        self,
        run: RunSnapshot,
        chosen: ResultFilter,
        *,
        from_seq: int,
        limit: int,
        bytes_max: int,
    ) -> list[CountedCallback]:
        """Callbacks that brought results nobody had brought, from one on, with bodies.

        Where several bodies came under one id, there may be more: what counted before may have
        ceased to. At most `limit`, and about `bytes_max` of bodies, at least one if any is left.
        """
        where = self._arrived(run, chosen, from_seq)
        where.add("(c.lost_to IS NULL OR c.lost_to > c.seq)")
        if run.since is None or not run.since.has_conflicts:
            where.add(f"NOT {self._came_before}", run.run_uid)
        return await self._by_arrival(run, where, limit=limit, bytes_max=bytes_max)

    async def _by_arrival(
        self, run: RunSnapshot, where: Where, *, limit: int, bytes_max: int
    ) -> list[CountedCallback]:
        """Callbacks `c` in order of arrival, with bodies, but without an order key."""
        rows = await self._rows(
            "SELECT c.seq, c.callback_key, c.content, c.batch_uid, c.received_ms, c.body_bytes"
            f" FROM {self.callbacks_by_seq} WHERE {where} ORDER BY c.seq LIMIT ?",
            *where.values,
            limit,
        )
        sizes = accumulate(row[5] for row in rows)
        rows = rows[: 1 + sum(size < bytes_max for size in sizes)]
        bodies = await self._bodies(run.run_uid, [row[0] for row in rows])
        return [
            CountedCallback(seq, key, b"", content, batch_uid, received_ms, bodies[seq])
            for seq, key, content, batch_uid, received_ms, _ in rows
        ]

    async def digest_rows(
        self, run: RunSnapshot, chosen: ResultFilter, *, from_seq: int, limit: int
    ) -> list[DigestRow]:
        """Callbacks with results in the order of arrival, from one on."""
        where = self._arrived(run, chosen, from_seq)
        rows = await self._rows(
            f"SELECT {self._digest_row} FROM {self.callbacks_by_seq} WHERE {where}"
            " ORDER BY c.seq LIMIT ?",
            run.run_uid,
            *where.values,
            limit,
        )
        return [DigestRow(*row) for row in rows]

    async def conflicting(self, run: RunSnapshot) -> list[DigestRow]:
        """Callbacks of which several bodies came under one id, in the order of arrival."""
        of_run = self.run_is.format("c")
        rows = await self._rows(
            f"SELECT {self._digest_row} FROM callbacks c WHERE {of_run} AND c.seq < ?"
            " AND (c.conflicts_with IS NOT NULL OR c.seq IN (SELECT f.conflicts_with"
            f" FROM callbacks f WHERE {self.run_is.format('f')} AND f.conflicts_with IS NOT NULL))"
            " ORDER BY c.seq",
            run.run_uid,
            run.run_uid,
            run.before_seq,
            run.run_uid,
        )
        return [DigestRow(*row) for row in rows]

    async def page_digests(self, run: RunSnapshot) -> list[PageDigests]:
        """The pages of all walks over `/outputs`."""
        rows = await self._rows(
            "SELECT p.walk_uid, p.page, p.seq, p.received_ms, p.digests FROM output_pages p"
            f" WHERE {self.run_is.format('p')} ORDER BY p.walk_uid, p.page",
            run.run_uid,
        )
        return [PageDigests(*row) for row in rows]

    @property
    def _came_before(self) -> str:
        callbacks = self.callbacks_from.replace("callbacks c", "callbacks e")
        return _CAME_BEFORE.format(callbacks=callbacks, of_run=self.run_is.format("e"))

    @property
    def _digest_row(self) -> str:
        return (
            "c.seq, coalesce(c.conflicts_with, c.seq), c.content, c.lost_to, c.digests,"
            f" {self._came_before}"
        )

    def _arrived(self, run: RunSnapshot, chosen: ResultFilter, from_seq: int) -> Where:
        where = Where((self.run_is.format("c"), run.run_uid))
        where.add("c.seq >= ? AND c.seq < ? AND c.content IS NOT NULL", from_seq, run.before_seq)
        if chosen.input_key is not None:
            where.add(
                f"c.input_no IN (SELECT i.input_no FROM inputs i WHERE {self.run_is.format('i')}"
                " AND i.input_key = ?)",
                run.run_uid,
                chosen.input_key,
            )
        for pair in chosen.custom:
            self._add_custom(where, "c", " AND v.input_no = c.input_no", pair)
        return where
