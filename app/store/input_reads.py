"""What is read of a run's inputs and of what Edges records beside them, alike in both stores."""

from collections.abc import Sequence
from typing import Any

from app.store.derived import EDGES_CALLBACK_COLUMNS
from app.store.rows import NO_INPUT, EdgesCallbackRow
from app.store.spelling import Spelling, Where
from app.store.views import (
    PLACED,
    UNPLACED,
    CustomFilter,
    InputFilter,
    InputView,
    RunSnapshot,
    placed_key,
    unplaced_key,
)
from app.told import read_told_input

FEW = 2_000
"""Up to so many inputs found by custom_data are sorted; more are filtered in order instead."""

ORDERS = {
    PLACED: ("inputs_by_place", "i.place IS NOT NULL", "i.place, i.input_key"),
    UNPLACED: ("inputs_by_key", "i.place IS NULL", "i.input_key"),
}
"""Of each stretch of inputs: the index that has its order, what is in it, and the order."""


class InputReads(Spelling):
    """Reads of inputs. Everything raises StoreUnavailableError."""

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
        index, condition, columns = ORDERS[stretch]
        where = Where((self.run_is.format("i"), run_uid))
        where.add(condition)
        if after[:1] == stretch:
            mark, values = after_key(stretch, after)
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


def _input_view(row: Sequence[Any]) -> InputView:
    *columns, told, place = row
    columns += [read_told_input(told) if told else None, order_key(place, row[1])]
    return InputView(*columns)


def order_key(place: int | None, input_key: bytes | None) -> bytes:
    """The order key of an input, or of none."""
    if input_key is None:
        return NO_INPUT
    return unplaced_key(input_key) if place is None else placed_key(place, input_key)


def after_key(stretch: bytes, order_key: bytes) -> tuple[str, tuple[object, ...]]:
    """The place in a stretch that an order key stands for, as marks and their values."""
    if stretch == UNPLACED:
        return "(?)", (order_key[1:],)
    return "(?, ?)", (int.from_bytes(order_key[1:9], "big"), order_key[9:])
