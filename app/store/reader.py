"""What both stores read alike, and how each of them spells it.

Statements are written with `?` for each value, in order. A store adds what differs: how a
run is named in its rows, how a list is given, and the statements whose plan is laid down.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import zstandard

from app.store.derived import EDGES_CALLBACK_COLUMNS
from app.store.outbox_reads import OutboxReads
from app.store.rows import NO_INPUT, EdgesCallbackRow
from app.store.schedule_reads import ScheduleReads
from app.store.views import (
    PLACED,
    UNPLACED,
    CallbackShare,
    CallbackView,
    CountedCallback,
    CountedPage,
    CustomFilter,
    InputFilter,
    InputView,
    Lag,
    QuarantineView,
    ResultFilter,
    ResultPosition,
    RunFilter,
    RunSnapshot,
    RunView,
    placed_key,
    unplaced_key,
)
from app.told import read_told, read_told_input

FEW = 2_000
"""Up to so many inputs found by custom_data are sorted; more are filtered in order instead."""

_RUN_COLUMNS = (
    "r.run_uid, r.status, r.completeness, r.action_name, r.execution_mode, r.scheduled_run_uid,"
    " r.callbacks, l.duplicates, r.conflicts, r.results, r.inputs, r.inputs_succeeded,"
    " r.inputs_failed, r.first_received_ms, r.last_received_ms, r.finished_ms, r.terminal_ms,"
    " r.expected_results, r.missing, r.lost_results, r.lost_inputs, r.verified_ms, r.told"
)
_RUN_SORTS = {
    "created": ("r.first_received_ms", ""),
    "-created": ("r.first_received_ms", " DESC"),
    "updated": ("r.last_received_ms", ""),
    "-updated": ("r.last_received_ms", " DESC"),
}
_QUARANTINE_COLUMNS = (
    "quarantine_id, received_ms, last_received_ms, times_seen, reason, detail, content_type,"
    " body_bytes"
)


_ORDERS = {
    PLACED: ("inputs_by_place", "i.place IS NOT NULL", "i.place, i.input_key"),
    UNPLACED: ("inputs_by_key", "i.place IS NULL", "i.input_key"),
}
"""Of each stretch of inputs: the index that has its order, what is in it, and the order."""


class Where:
    """Conditions joined by AND, with the values for their `?`."""

    def __init__(self, *pairs: tuple[str, object]) -> None:
        self.values: list[Any] = []
        self._conditions: list[str] = []
        for condition, value in pairs:
            self.add(condition, value)

    def add(self, condition: str, *values: object) -> None:
        """One more condition, with a value for each `?` in it."""
        self._conditions.append(condition)
        self.values += values

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "true"


class Reader(ScheduleReads, OutboxReads):
    """Reads for the API and the exports. Everything raises StoreUnavailableError."""

    runs_from: str
    """Runs `r` with their log `l`, and whatever `next_seq` needs."""
    next_seq: str
    """How far a run `r` is projected."""
    run_is: str
    """The condition that a row `{0}` is of the run with the uid `?`."""
    same_run: str
    """The condition that rows `{0}` and `{1}` are of the same run."""
    position: str
    """The function that finds a text in another one."""
    callbacks_from = "callbacks c"
    """Callbacks `c`, read by the index of those with results."""

    @abstractmethod
    def _custom(self, pair: CustomFilter) -> tuple[object, object]:
        """Path and value as they are stored."""

    @abstractmethod
    def _inputs_from(self, index: str) -> str:
        """Inputs `i`, read by an index; by their number where that is empty."""

    @abstractmethod
    async def fields(self, run_uids: Sequence[str]) -> dict[str, list[str]]:
        """The sorted field names of these runs by section: `data`, `custom_data`, `input`."""

    @abstractmethod
    async def lag(self, now_ms: int) -> Lag:
        """How far the projection is behind, at the Unix time `now_ms`."""

    @abstractmethod
    async def _bodies(self, run_uid: str, seqs: Sequence[int]) -> dict[int, bytes]:
        """The bodies at these places of a run's log; what is not there is left out."""

    # -------------------------------------------------------------------- runs

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
            f" AND v.value = ? WHERE {of_run} AND f.section = 'custom_data'))",
            text,
            value,
        )

    def _add_custom(self, where: Where, of: str, more: str, pair: CustomFilter) -> None:
        same_run = self.same_run.format("v", of)
        where.add(
            f"EXISTS (SELECT 1 FROM custom_values v WHERE {same_run} AND v.path = ?"
            f" AND v.value = ?{more})",
            *self._custom(pair),
        )

    # ----------------------------------------------------------------- results

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
                seq, key, _order_key(place, input_key), content, batch_uid, received_ms, bodies[seq]
            )
            for seq, key, place, input_key, content, batch_uid, received_ms, _ in rows
        ]

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
        where = Where((self.run_is.format("c"), run.run_uid))
        where.add("c.content IS NOT NULL AND c.seq < ?", run.before_seq)
        where.add("(c.lost_to IS NULL OR c.lost_to >= ?)", run.before_seq)
        if chosen.received_after_ms is not None:
            where.add("c.received_ms > ?", chosen.received_after_ms)
        is_later = f"c.callback_key {'>=' if after.place >= 0 else '>'} ?"
        source, key, order = self.callbacks_from, "NULL, NULL", "c.callback_key"
        if not stretch:
            where.add(f"c.input_no = 0 AND {is_later}", after.callback_key)
        else:
            index, condition, columns = _ORDERS[stretch]
            inputs = self._inputs_from(index if matching is None else "")
            source = f"{inputs} CROSS JOIN {self.callbacks_from}"
            key, order = "i.place, i.input_key", f"{columns}, c.callback_key"
            where.add(f"{self.run_is.format('i')} AND c.input_no = i.input_no", run.run_uid)
            where.add(condition)
            if after.order_key[:1] == stretch:
                mark, values = _after(stretch, after.order_key)
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

    async def _few_inputs_with(
        self, run_uid: str, custom: Sequence[CustomFilter]
    ) -> list[int] | None:
        """Numbers of the inputs with all of these values; None if the first alone has many."""
        found: list[int] | None = None
        for pair in custom:
            where = Where((self.run_is.format("v"), run_uid))
            where.add("v.path = ? AND v.value = ?", *self._custom(pair))
            if found is not None:
                where.add(*self._among("v.input_no", found))
            rows = await self._rows(
                f"SELECT v.input_no FROM custom_values v WHERE {where} LIMIT ?",
                *where.values,
                FEW + 1,
            )
            if len(rows) > FEW:
                return None
            found = sorted(row[0] for row in rows)
        return found

    # ------------------------------------------------------------------ inputs

    async def inputs(
        self, run: RunSnapshot, chosen: InputFilter, *, after: bytes, limit: int
    ) -> list[InputView]:
        """Inputs in export order, after an order key (b"" for the start)."""
        matching = None
        if chosen.custom:
            matching = await self._few_inputs_with(run.run_uid, chosen.custom)
        rows: list[Any] = []
        for stretch in run.stretches:
            if len(rows) < limit and after[:1] <= stretch:
                left = limit - len(rows)
                rows += await self._inputs(
                    run.run_uid,
                    chosen,
                    stretch=stretch,
                    after=after,
                    limit=left,
                    matching=matching,
                )
        return [_input_view(row) for row in rows]

    async def _inputs(
        self,
        run_uid: str,
        chosen: InputFilter,
        *,
        stretch: bytes,
        after: bytes,
        limit: int,
        matching: Sequence[int] | None,
    ) -> Sequence[Any]:
        index, condition, columns = _ORDERS[stretch]
        where = Where((self.run_is.format("i"), run_uid))
        where.add(condition)
        if after[:1] == stretch:
            mark, values = _after(stretch, after)
            where.add(f"({columns}) > {mark}", *values)
        if chosen.statuses:
            where.add(*self._among("i.status", chosen.statuses))
        if chosen.input_key is not None:
            where.add("i.input_key = ?", chosen.input_key)
        if chosen.error_label is not None:
            index = "inputs_with_errors"
            where.add("i.error_label = ?", chosen.error_label)
        if matching is not None:
            where.add(*self._among("i.input_no", matching))
            index = ""
        else:
            for pair in chosen.custom:
                self._add_custom(where, "i", " AND v.input_no = i.input_no", pair)
        return await self._rows(
            "SELECT i.input_no, i.input_key, i.input, i.custom_data, i.status, i.error, i.results,"
            " i.first_received_ms, i.last_received_ms, i.input_uid, i.told, i.place"
            f" FROM {self._inputs_from(index)} WHERE {where} ORDER BY {columns} LIMIT ?",
            *where.values,
            limit,
        )

    async def input_key(self, run_uid: str, input_uid: str) -> bytes | None:
        """The key of the input that Edges names so; None if there is none."""
        rows = await self._rows(
            f"SELECT i.input_key FROM {self._inputs_from('inputs_by_uid')}"
            f" WHERE {self.run_is.format('i')} AND i.input_uid IS NOT NULL AND i.input_uid = ?",
            run_uid,
            input_uid,
        )
        return bytes(rows[0][0]) if rows else None

    async def short_inputs(self, run_uid: str, limit: int) -> list[tuple[str | None, int]]:
        """Inputs that Edges counts more results of than came for them: (uid, how many)."""
        rows = await self._rows(
            f"SELECT i.input_uid, i.short FROM {self._inputs_from('inputs_short')}"
            f" WHERE {self.run_is.format('i')} AND i.short > 0"
            " ORDER BY i.short DESC, i.input_uid LIMIT ?",
            run_uid,
            limit,
        )
        return [(row[0], row[1]) for row in rows]

    # ---------------------------------------------------------- Edges' records

    async def edges_callbacks(
        self, run_uid: str, *, failed_only: bool, limit: int
    ) -> list[EdgesCallbackRow]:
        """What Edges records of its callbacks, oldest first; or only originals that failed."""
        which = " AND e.status = 'FAILED' AND e.parent_uid IS NULL" if failed_only else ""
        rows = await self._rows(
            f"SELECT {EDGES_CALLBACK_COLUMNS} FROM edges_callbacks e"
            f" WHERE {self.run_is.format('e')}{which} ORDER BY e.created_ms, e.uid LIMIT ?",
            run_uid,
            limit,
        )
        return [EdgesCallbackRow(*row) for row in rows]

    # --------------------------------------------------------------- callbacks

    async def callbacks(self, run_uid: str, *, after_seq: int, limit: int) -> list[CallbackView]:
        """The log of a run in order of arrival."""
        rows = await self._rows(
            "SELECT seq, callback_key, batch_uid, status, results, is_winner, lost_to,"
            " conflicts_with, received_ms, body_bytes, note FROM callbacks c"
            f" WHERE {self.run_is.format('c')} AND seq > ? ORDER BY seq LIMIT ?",
            run_uid,
            after_seq,
            limit,
        )
        return [CallbackView(*row) for row in rows]

    async def raw(self, run_uid: str, seq: int) -> bytes:
        """The body of a callback exactly as received. Raises KeyError if the log has none there."""
        return (await self._bodies(run_uid, [seq]))[seq]

    # -------------------------------------------------------------- quarantine

    async def quarantined(self, *, after: str, limit: int) -> list[QuarantineView]:
        """Entries of the quarantine, oldest first, after an id ("" for the start)."""
        rows = await self._rows(
            f"SELECT {_QUARANTINE_COLUMNS} FROM {self.log_schema}quarantine"
            " WHERE quarantine_id > ? ORDER BY quarantine_id LIMIT ?",
            after,
            limit,
        )
        return [QuarantineView(*row) for row in rows]

    async def quarantined_entry(self, quarantine_id: str) -> tuple[QuarantineView, bytes] | None:
        """An entry and its body, None if there is none by that id."""
        rows = await self._rows(
            f"SELECT {_QUARANTINE_COLUMNS}, frame FROM {self.log_schema}quarantine"
            " WHERE quarantine_id = ?",
            quarantine_id,
        )
        if not rows:
            return None
        *columns, frame = rows[0]
        return QuarantineView(*columns), zstandard.decompress(frame)

    async def quarantine_size(self) -> int:
        """How many entries the quarantine has."""
        rows = await self._rows(f"SELECT count(*) FROM {self.log_schema}quarantine")
        return int(rows[0][0])


def _run_view(row: Sequence[Any]) -> RunView:
    *columns, told, next_seq = row
    columns += [read_told(told) if told else None, next_seq]
    return RunView(*columns)


def _input_view(row: Sequence[Any]) -> InputView:
    *columns, told, place = row
    columns += [read_told_input(told) if told else None, _order_key(place, row[1])]
    return InputView(*columns)


def _order_key(place: int | None, input_key: bytes | None) -> bytes:
    if input_key is None:
        return NO_INPUT
    return unplaced_key(input_key) if place is None else placed_key(place, input_key)


def _after(stretch: bytes, order_key: bytes) -> tuple[str, tuple[object, ...]]:
    """The place in a stretch that an order key stands for, as marks and their values."""
    if stretch == UNPLACED:
        return "(?)", (order_key[1:],)
    return "(?, ?)", (int.from_bytes(order_key[1:9], "big"), order_key[9:])
