"""What both stores read alike, and how each of them spells it.

Statements are written with `?` for each value, in order. A store adds what differs: how a
run is named in its rows, how a list is given, and the statements whose plan is laid down.
"""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import zstandard

from app.store.rows import NO_INPUT
from app.store.schedule_reads import ScheduleReads
from app.store.views import (
    CallbackView,
    CountedCallback,
    CustomFilter,
    InputFilter,
    InputView,
    Lag,
    QuarantineView,
    ResultFilter,
    ResultPosition,
    RunFilter,
    RunView,
)

FEW = 2_000
"""Up to so many inputs found by custom_data are sorted; more are filtered in order instead."""

_RUN_COLUMNS = (
    "r.run_uid, r.status, r.completeness, r.action_name, r.execution_mode, r.scheduled_run_uid,"
    " r.callbacks, l.duplicates, r.conflicts, r.results, r.inputs, r.inputs_succeeded,"
    " r.inputs_failed, r.first_received_ms, r.last_received_ms, r.finished_ms"
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


class Reader(ScheduleReads):
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

    async def _runs(self, where: Where, order: str, limit: int) -> list[RunView]:
        rows = await self._rows(
            f"SELECT {_RUN_COLUMNS}, {self.next_seq} FROM {self.runs_from} WHERE {where}"
            f" ORDER BY {order} LIMIT ?",
            *where.values,
            limit,
        )
        return [RunView(*row) for row in rows]

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
        run_uid: str,
        chosen: ResultFilter,
        *,
        before_seq: int,
        after: ResultPosition,
        limit: int,
        bytes_max: int,
    ) -> list[CountedCallback]:
        """Callbacks whose results counted before `before_seq`, in export order, bodies included.

        From the callback of `after` on (itself included when `after.place` >= 0), at most
        `limit`, and about `bytes_max` of bodies, at least one if any is left.
        """
        rows: list[Any] = []
        if chosen.input_key is None and not chosen.custom and after.input_key == NO_INPUT:
            sql, values = self._counted(run_uid, chosen, before_seq, after, limit)
            rows += await self._rows(sql, *values)
        if len(rows) < limit:
            matching = None
            if chosen.custom:
                matching = await self._few_inputs_with(run_uid, chosen.custom)
            left = limit - len(rows)
            sql, values = self._counted(
                run_uid, chosen, before_seq, after, left, matching=matching, by_input=True
            )
            rows += await self._rows(sql, *values)
        sizes = accumulate(row[6] for row in rows)
        rows = rows[: 1 + sum(size < bytes_max for size in sizes)]
        bodies = await self._bodies(run_uid, [row[0] for row in rows])
        return [
            CountedCallback(
                seq, key, input_key or NO_INPUT, content, batch_uid, received_ms, bodies[seq]
            )
            for seq, key, input_key, content, batch_uid, received_ms, _ in rows
        ]

    def _counted(
        self,
        run_uid: str,
        chosen: ResultFilter,
        before_seq: int,
        after: ResultPosition,
        limit: int,
        *,
        matching: Sequence[int] | None = None,
        by_input: bool = False,
    ) -> tuple[str, Sequence[object]]:
        """The statement for callbacks whose results count: of inputs, or of no input at all.

        Inputs are walked in the order of their key, so that a page costs what is on it; where
        `matching` names a few of them, those are sorted instead.
        """
        where = Where((self.run_is.format("c"), run_uid))
        where.add("c.content IS NOT NULL AND c.seq < ?", before_seq)
        where.add("(c.lost_to IS NULL OR c.lost_to >= ?)", before_seq)
        if chosen.received_after_ms is not None:
            where.add("c.received_ms > ?", chosen.received_after_ms)
        is_later = f"c.callback_key {'>=' if after.place >= 0 else '>'} ?"
        source, key, order = self.callbacks_from, "NULL", "c.callback_key"
        if not by_input:
            where.add(f"c.input_no = 0 AND {is_later}", after.callback_key)
        else:
            inputs = self._inputs_from("inputs_by_key" if matching is None else "")
            source = f"{inputs} CROSS JOIN {self.callbacks_from}"
            key, order = "i.input_key", "i.input_key, c.callback_key"
            where.add(f"{self.run_is.format('i')} AND c.input_no = i.input_no", run_uid)
            where.add("i.input_key >= ?", after.input_key)
            where.add(f"(i.input_key > ? OR {is_later})", after.input_key, after.callback_key)
            if chosen.input_key is not None:
                where.add("i.input_key = ?", chosen.input_key)
            if matching is not None:
                where.add(*self._among("i.input_no", matching))
            else:
                for pair in chosen.custom:
                    self._add_custom(where, "i", " AND v.input_no = i.input_no", pair)
        statement = (
            f"SELECT c.seq, c.callback_key, {key}, c.content, c.batch_uid, c.received_ms,"
            f" c.body_bytes FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"
        )
        return statement, (*where.values, limit)

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
        self, run_uid: str, chosen: InputFilter, *, after: bytes, limit: int
    ) -> list[InputView]:
        """Inputs in export order, after an input key (b"" for the start)."""
        where = Where((self.run_is.format("i"), run_uid), ("i.input_key > ?", after))
        if chosen.statuses:
            where.add(*self._among("i.status", chosen.statuses))
        index = "inputs_by_key"
        if chosen.error_label is not None:
            index = "inputs_with_errors"
            where.add("i.error_label = ?", chosen.error_label)
        if chosen.custom:
            matching = await self._few_inputs_with(run_uid, chosen.custom)
            if matching is not None:
                where.add(*self._among("i.input_no", matching))
                index = ""
            else:
                for pair in chosen.custom:
                    self._add_custom(where, "i", " AND v.input_no = i.input_no", pair)
        rows = await self._rows(
            "SELECT i.input_no, i.input_key, i.input, i.custom_data, i.status, i.error, i.results,"
            f" i.first_received_ms, i.last_received_ms FROM {self._inputs_from(index)}"
            f" WHERE {where} ORDER BY i.input_key LIMIT ?",
            *where.values,
            limit,
        )
        return [InputView(*row) for row in rows]

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
