"""What is new in a run since a reader last loaded it: each result once, and none left out.

A result is new where its digest comes to count more often than it ever did since the first
load. How often it counts is the larger of two numbers, as in exports: by callbacks and by the
lists of `/outputs` (see `app.listed`). Both follow from what stands before a place of the log,
so that nothing needs to be kept between two loads but the places at which they ended: what
they give adds up to the most that ever counted. What ceases to count is not taken back.

Mostly no two bodies came under one id, and nothing is known from `/outputs` alone. Then what
counts never ceases to, and a callback brings new results unless it lost to one before it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from app.listed import beyond, by_walk, digests_of, listed
from app.store.reader import Reader
from app.store.views import (
    CountedCallback,
    CountedPage,
    DigestRow,
    PageDigests,
    ResultFilter,
    RunSnapshot,
    Since,
)

PORTION_CALLBACKS = 256
PORTION_BYTES = 1024 * 1024
_DIGEST_ROWS = 5_000

Fresh = Callable[[CountedCallback], int | None]
"""A bit for each result of a callback that is new; None if all are."""


class Delta:
    """The new results of one run: callbacks in the order of arrival, then pages of `/outputs`."""

    def __init__(self, reader: Reader, run: RunSnapshot, chosen: ResultFilter) -> None:
        if run.since is None:
            raise ValueError(f"the snapshot of run {run.run_uid} is none of a delta")
        self._reader = reader
        self._run = run
        self._since: Since = run.since
        self._chosen = chosen
        self.pages: tuple[CountedPage, ...] = ()
        """Those with new results, once all callbacks were read."""

    async def callbacks(self) -> AsyncIterator[tuple[list[CountedCallback], Fresh]]:
        """Callbacks with new results, in portions."""
        since = self._since
        if since.seq == self._run.before_seq and since.was_reset == since.is_reset:
            return
        is_of_inputs = self._chosen.names_inputs
        fresh: Fresh = _all
        if self._since.has_conflicts or (self._since.walks and not is_of_inputs):
            fresh = await self._weighed(has_pages=not is_of_inputs)
        from_seq = self._since.seq or 1
        while callbacks := await self._reader.arrived(
            self._run,
            self._chosen,
            from_seq=from_seq,
            limit=PORTION_CALLBACKS,
            bytes_max=PORTION_BYTES,
        ):
            yield callbacks, fresh
            from_seq = callbacks[-1].seq + 1

    async def _weighed(self, *, has_pages: bool) -> Fresh:
        """What is new, where what counts may cease to, or be listed too."""
        run, reader, since = self._run, self._reader, self._since
        conflicting = await reader.conflicting(run) if since.has_conflicts else []
        pages = await reader.page_digests(run) if has_pages and since.walks else []
        weighing = Weighing(since, run.before_seq, conflicting, pages)
        if since.seq is not None:
            async for rows in self._digests(since.seq):
                weighing.watch(rows)
        async for rows in self._digests(1):
            await asyncio.to_thread(weighing.add, rows)
        self.pages = await asyncio.to_thread(weighing.end)
        return weighing.fresh

    async def _digests(self, from_seq: int) -> AsyncIterator[list[DigestRow]]:
        while rows := await self._reader.digest_rows(
            self._run, self._chosen, from_seq=from_seq, limit=_DIGEST_ROWS
        ):
            yield rows
            from_seq = rows[-1].seq + 1


def _all(callback: CountedCallback) -> None:
    del callback


class Weighing:
    """Goes through the log of a run from its beginning, and finds what is new in the end.

    It holds the digests that matter, and so is the one part of exports that grows with a run: by
    some 350 MB, and 4 s, for each million of results that `/outputs` listed or that came since the
    last load. Runs that were not walked, and have no conflicts, need none of it.
    """

    def __init__(
        self,
        since: Since,
        before_seq: int,
        conflicting: Sequence[DigestRow],
        pages: Sequence[PageDigests],
    ) -> None:
        """`conflicting`: all callbacks of which several bodies came under one id."""
        self._since = since
        self._before_seq = before_seq
        self._pages = pages
        self._conflicting = list(reversed(conflicting))
        self._id_of = {row.seq: row.first_seq for row in conflicting}
        self._volatile = {row.content: 0 for row in conflicting if row.content is not None}
        """How many callbacks hold each content that may cease to count."""
        self._winner: dict[int, DigestRow] = {}
        """Of several bodies under one id the one that counts, by the first one's seq."""
        self._first_of: dict[bytes, int] = {}
        """The first callback that counted for each volatile content."""
        self._digests: dict[bytes, list[bytes]] = {}
        self._replays: set[int] = set()
        self._count: dict[bytes, int] = {
            one: 0 for page in pages for one in digests_of(page.digests)
        }
        """How often each digest that matters counts, by callbacks."""
        self._most: dict[bytes, int] | None = None
        """The most that it ever counted since the first load."""
        self._is_after = False
        self._fresh: dict[int, int] = {}

    def watch(self, rows: Iterable[DigestRow]) -> None:
        """Note which digests matter beside those that are listed: those that came lately."""
        for row in rows:
            for one in digests_of(row.digests):
                self._count.setdefault(one, 0)

    def add(self, rows: Iterable[DigestRow]) -> None:
        """Take the next callbacks that are asked for."""
        for row in rows:
            while self._conflicting and self._conflicting[-1].seq < row.seq:
                self._take(self._conflicting.pop()._replace(digests=b""))  # of another input
            if self._conflicting and self._conflicting[-1].seq == row.seq:
                self._conflicting.pop()
            self._take(row)

    def _take(self, row: DigestRow) -> None:
        self._pass(row.seq)
        digests = digests_of(row.digests)
        lost_before = row.lost_to is not None and row.lost_to < row.seq
        if row.seq in self._id_of:
            if lost_before and self._id_of.get(row.lost_to or 0) == row.first_seq:
                return  # a better body was there already
            former = self._winner.get(row.first_seq)
            self._winner[row.first_seq] = row
            self._hold(row, digests, 1)
            if former is not None:
                self._hold(former, [], -1)
        elif row.content in self._volatile:
            self._hold(row, digests, 1)
        elif row.came_before:
            self._replays.add(row.seq)
        elif not lost_before:
            self._credit(digests, 1)
        self._note(row.seq, digests)

    def _hold(self, row: DigestRow, digests: list[bytes], by: int) -> None:
        content = row.content
        if content is None:
            return
        if by > 0:
            self._first_of.setdefault(content, row.seq)
            self._digests.setdefault(content, digests)
        holders = self._volatile[content]
        self._volatile[content] = holders + by
        if bool(holders) != bool(holders + by):
            self._credit(self._digests[content], by)

    def _credit(self, digests: Iterable[bytes], by: int) -> None:
        for one in digests:
            if one in self._count:
                self._count[one] += by

    def _note(self, seq: int, digests: Sequence[bytes]) -> None:
        """Raise the most that counted; what it rises by is new, if it came after the last load."""
        if self._most is None:
            return
        bits = 0
        for place, one in enumerate(digests):
            if one in self._count and self._count[one] > self._most[one]:
                bits |= 1 << place
                self._most[one] += 1
        if bits and self._is_after:
            self._fresh[seq] = bits

    def _pass(self, seq: int) -> None:
        """Reach a place of the log."""
        since = self._since
        if since.seq is None:
            return
        if self._most is None and seq >= since.first_seq:
            self._most = dict(self._count)
        if self._most is not None and not self._is_after and seq >= since.seq:
            self._is_after = True
            groups = self._groups(since.seq, is_reset=since.was_reset)
            for one, number in listed(groups).items():
                self._most[one] = max(self._most[one], number)

    def end(self) -> tuple[CountedPage, ...]:
        """Nothing more came; the pages with new results."""
        while self._conflicting:
            self._take(self._conflicting.pop()._replace(digests=b""))
        self._pass(self._before_seq)
        is_reset = self._since.was_reset or self._since.is_reset
        groups = self._groups(self._before_seq, is_reset=is_reset)
        bits_of = beyond(groups, self._count if self._most is None else self._most)
        return tuple(
            CountedPage(page.walk_uid, page.page, page.seq, page.received_ms, bits)
            for page in self._pages
            if any(bits := bits_of.get((page.walk_uid, page.page), b""))
        )

    def _groups(self, before_seq: int, *, is_reset: bool) -> list[list[PageDigests]]:
        """The walks that were complete at a place of the log; those of a generation together."""
        generation_of = dict(self._since.walks)
        groups: dict[int, list[PageDigests]] = {}
        for uid, walk in by_walk(self._pages):
            if uid in generation_of and all(page.seq < before_seq for page in walk):
                generation = generation_of[uid] if is_reset else 0
                groups.setdefault(generation, []).extend(walk)
        return [groups[generation] for generation in sorted(groups)]

    def fresh(self, callback: CountedCallback) -> int | None:
        """A bit for each result of a callback that is new; None if all are."""
        if self._since.seq is not None:
            return self._fresh.get(callback.seq, 0)
        holders = self._volatile.get(callback.content)
        if holders is None:
            return 0 if callback.seq in self._replays else None
        is_it = holders > 0 and self._first_of.get(callback.content) == callback.seq
        return None if is_it else 0
