"""Results beside their inputs: both come in the same order, so neither is ever looked up."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from app.export.layouts import Joined
from app.export.records import Result
from app.record import Record, input_record
from app.store.reader import Reader
from app.store.views import InputFilter, InputView, RunSnapshot

PORTION_INPUTS = 500


async def joined(
    reader: Reader,
    run: RunSnapshot,
    chosen: InputFilter,
    results: AsyncIterator[list[Result]],
) -> AsyncIterator[list[Joined]]:
    """A row for each result with its input, and one for each input that has none.

    Results stand where they stood, and an input without any where its results would. What is
    known of no input has a row without one. `results` are those of the inputs that are chosen.
    """
    join = _Join(run.run_uid)
    async for portion in results:
        left = deque(portion)
        while left:
            if join.wants_inputs:
                join.take(await _next_inputs(reader, run, chosen, join))
            if rows := await asyncio.to_thread(join.rows, left):
                yield rows
    while not join.is_over:
        join.take(await _next_inputs(reader, run, chosen, join))
        if rows := await asyncio.to_thread(join.without_results):
            yield rows
    if rows := join.without_results():
        yield rows


async def _next_inputs(
    reader: Reader, run: RunSnapshot, chosen: InputFilter, join: "_Join"
) -> list[InputView]:
    return await reader.inputs(run, chosen, after=join.after, limit=PORTION_INPUTS)


@dataclass(slots=True)
class _Join:
    """Where a merge of inputs and results is."""

    run_uid: str
    after: bytes = b""
    """The order key of the last input that was read."""
    is_over: bool = False
    """Whether all inputs were read."""
    _inputs: deque[InputView] = field(default_factory=deque)
    _key: bytes = b""
    """Of the input that results are compared with."""
    _input: Record | None = None
    _is_joined: bool = False
    """Whether that one has a row already."""

    @property
    def wants_inputs(self) -> bool:
        """Whether the next ones must be read before there can be more rows."""
        return not self._inputs and not self.is_over

    def take(self, views: list[InputView]) -> None:
        """The next inputs; none if there are no more."""
        self.is_over = not views
        self._inputs.extend(views)
        if views:
            self.after = views[-1].order_key

    def rows(self, results: deque[Result]) -> list[Joined]:
        """Rows with the first of `results`, which are taken away, as far as inputs were read."""
        rows: list[Joined] = []
        while results:
            key = results[0].order_key
            if self._input is not None and key == self._key:
                rows.append(Joined(self._input, results.popleft()))
                self._is_joined = True
            elif self._has_passed(key):
                rows.append(Joined(None, results.popleft()))
            elif not self._next(rows):
                break
        return rows

    def _has_passed(self, key: bytes) -> bool:
        """Whether no input of this order key is to come."""
        if self._input is None:
            return self.is_over and not self._inputs
        return key < self._key

    def without_results(self) -> list[Joined]:
        """Rows of all inputs that were read and have none, where no more results come."""
        rows: list[Joined] = []
        while self._next(rows):
            pass
        return rows

    def _next(self, rows: list[Joined]) -> bool:
        """Go to the next input; False if more have to be read for that."""
        if not self._inputs and not self.is_over:
            return False
        if self._input is not None and not self._is_joined:
            rows.append(Joined(self._input, None))
        self._input, self._is_joined = None, False
        if not self._inputs:
            return False
        view = self._inputs.popleft()
        self._key, self._input = view.order_key, input_record(self.run_uid, view)
        return True
