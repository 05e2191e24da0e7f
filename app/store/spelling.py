"""How a store spells what both read alike.

Statements are written with `?` for each value, in order. A store says what differs: how a
run is named in its rows, how a list is given, and which index is to be used.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from app.store.views import CustomFilter


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


class Spelling(ABC):
    """What a store adds to the statements. Everything raises StoreUnavailableError."""

    log_schema = ""
    """What the names of the log's tables begin with."""
    outbox_schema = ""
    """What those of the outbox's tables begin with."""
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

    callbacks_by_seq = "callbacks c"
    """Callbacks `c`, read in the order of their arrival."""

    @abstractmethod
    async def _rows(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of a statement."""

    @abstractmethod
    def _among(self, column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, object]:
        """The condition that a column has one of these values, and the value for its `?`."""

    @abstractmethod
    def _custom(self, pair: CustomFilter) -> tuple[object, object]:
        """Path and value as they are stored."""

    @abstractmethod
    def _inputs_from(self, index: str) -> str:
        """Inputs `i`, read by an index; by their number where that is empty."""

    @abstractmethod
    async def _bodies(self, run_uid: str, seqs: Sequence[int]) -> dict[int, bytes]:
        """The bodies at these places of a run's log; what is not there is left out."""

    def _add_custom(self, where: Where, of: str, more: str, pair: CustomFilter) -> None:
        same_run = self.same_run.format("v", of)
        where.add(
            f"EXISTS (SELECT 1 FROM custom_values v WHERE {same_run} AND v.path = ?"
            f" AND v.value = ?{more})",
            *self._custom(pair),
        )
