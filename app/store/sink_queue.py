"""Standing sinks, and the runs that are to be in them: what both stores do alike.

A part of the outbox. Everything raises StoreUnavailableError.
"""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from app.store.sink_rows import SinkRow, SinkRunRow

SINK_COLUMNS = ", ".join(SinkRow._fields)
RUN_COLUMNS = ", ".join(SinkRunRow._fields)
_SINK_MARKS = ", ".join("?" * len(SinkRow._fields))
_REMOVED_AT_ONCE = 2_000

_ASK = """
    INSERT INTO sink_runs AS r
        (run_uid, sink_id, state, is_forced, asked, due_ms, tries, changed_ms)
    VALUES (?, ?, 'pending', ?, 1, ?, 0, ?)
    ON CONFLICT (run_uid, sink_id) DO UPDATE SET state = 'pending', asked = r.asked + 1,
        is_forced = CASE WHEN excluded.is_forced = 1 THEN 1 ELSE r.is_forced END,
        due_ms = excluded.due_ms, tries = 0, changed_ms = excluded.changed_ms
"""


class Transaction(Protocol):
    """Statements that take effect together."""

    async def fetch(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of a statement."""

    async def execute(self, sql: str, *values: object) -> int:
        """How many rows a statement changed."""

    async def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """A statement for each row of values."""


class SettledRun(NamedTuple):
    """What came of writing a run, and where that leaves it."""

    state: str
    """`pending` if it is to be tried again, `done` or `failed`."""
    due_ms: int
    tries: int
    at_ms: int
    problem: str | None = None
    version: str | None = None
    """Of what was written; None if nothing was."""
    rows: int | None = None
    took_ms: int | None = None
    notes: str | None = None


class SinkQueue:
    """Sinks and their runs, in the outbox of either store."""

    unleased = ""
    """What to set beside the rest where a run is given back."""
    run_is_ours = ""
    """A condition more, with a `?` for the holder, if runs are leased."""

    @abstractmethod
    def _transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction, committed at its end unless something is raised."""

    @abstractmethod
    async def _fetch(self, sql: str, *values: object) -> Sequence[Any]:
        """The rows of one statement that only reads, without a transaction around it."""

    # ------------------------------------------------------------------- sinks

    async def sinks(self) -> list[SinkRow]:
        """All sinks, by id, which is by age."""
        rows = await self._fetch(f"SELECT {SINK_COLUMNS} FROM sinks ORDER BY sink_id")
        return [SinkRow(*row) for row in rows]

    async def add_sink(self, row: SinkRow) -> None:
        """Keep a new sink."""
        async with self._transaction() as transaction:
            await transaction.execute(
                f"INSERT INTO sinks ({SINK_COLUMNS}) VALUES ({_SINK_MARKS})", *row
            )

    async def change_sink(self, row: SinkRow) -> bool:
        """Keep a change of a sink whose version was `row.version` until now.

        The version rises. False, and nothing changed, if somebody else changed it meanwhile.
        """
        async with self._transaction() as transaction:
            changed = await transaction.execute(
                "UPDATE sinks SET state = ?, config = ?, secrets = ?, backfill_after = ?,"
                " updated_ms = ?, version = version + 1 WHERE sink_id = ? AND version = ?",
                row.state, row.config, row.secrets, row.backfill_after, row.updated_ms,
                row.sink_id, row.version,
            )  # fmt: skip
        return bool(changed)

    async def remove_sink(self, sink_id: str) -> bool:
        """Drop a sink with what is known of its runs; False if there is none by that id."""
        async with self._transaction() as transaction:
            removed = await transaction.execute("DELETE FROM sinks WHERE sink_id = ?", sink_id)
        left = _REMOVED_AT_ONCE
        while left == _REMOVED_AT_ONCE:
            async with self._transaction() as transaction:
                left = await transaction.execute(
                    "DELETE FROM sink_runs WHERE sink_id = ? AND run_uid IN"
                    " (SELECT run_uid FROM sink_runs WHERE sink_id = ? LIMIT ?)",
                    sink_id, sink_id, _REMOVED_AT_ONCE,
                )  # fmt: skip
        return bool(removed)

    # -------------------------------------------------------------------- runs

    async def ask_seen(
        self, sink: SinkRow, run_uids: Sequence[str], seen_event_no: int, now_ms: int
    ) -> bool:
        """Have the runs written that events up to this one are of.

        False, and nothing asked for, if somebody else has done that.
        """
        moved = "seen_event_no", sink.seen_event_no, seen_event_no
        return await self._ask_and_move(sink.sink_id, run_uids, moved, now_ms)

    async def ask_backfilled(
        self, sink: SinkRow, run_uids: Sequence[str], after: str | None, now_ms: int
    ) -> bool:
        """Have runs written that were there before, up to the uid `after`; None at the end.

        False, and nothing asked for, if somebody else has done that.
        """
        moved = "backfill_after", sink.backfill_after, after
        return await self._ask_and_move(sink.sink_id, run_uids, moved, now_ms)

    async def _ask_and_move(
        self,
        sink_id: str,
        run_uids: Sequence[str],
        moved: tuple[str, object, object],
        now_ms: int,
    ) -> bool:
        """Ask for runs if a mark of the sink is as it was; `moved` is its column, from and to."""
        column, was, becomes = moved
        async with self._transaction() as transaction:
            is_ours = await transaction.execute(
                f"UPDATE sinks SET {column} = ? WHERE sink_id = ? AND {column} = ?",
                becomes, sink_id, was,
            )  # fmt: skip
            if is_ours:
                await _ask(transaction, sink_id, run_uids, now_ms)
        return bool(is_ours)

    async def ask_again(self, sink_id: str, run_uid: str, now_ms: int) -> None:
        """Have a run written, also if it is there as it is."""
        async with self._transaction() as transaction:
            await _ask(transaction, sink_id, [run_uid], now_ms, is_forced=1)

    async def ask_all_anew(self, now_ms: int) -> int:
        """Have all runs written again that ever were, wherever they are to be; how many.

        For whoever changes what runs hold without an event: one that told of it would be news.
        """
        async with self._transaction() as transaction:
            return await transaction.execute(
                "UPDATE sink_runs SET state = 'pending', is_forced = 1, asked = asked + 1,"
                " due_ms = ?, tries = 0, changed_ms = ?",
                now_ms, now_ms,
            )  # fmt: skip

    async def has_due_run(self, sink_id: str, now_ms: int) -> bool:
        """Whether a sink has anything to be written."""
        return bool(
            await self._fetch(
                "SELECT 1 FROM sink_runs WHERE sink_id = ? AND state = 'pending' AND due_ms <= ?"
                " LIMIT 1",
                sink_id, now_ms,
            )
        )  # fmt: skip

    @abstractmethod
    async def claim_run(
        self, sink_id: str, holder: str, lease_s: float, now_ms: int
    ) -> SinkRunRow | None:
        """A run that is due, which is `holder`'s alone for so long; None if there is none.

        Where there is one process, it has to see to that itself.
        """

    async def keep_run(self, row: SinkRunRow, holder: str, lease_s: float) -> bool:
        """Keep a run for longer; False if somebody else has it."""
        del row, holder, lease_s
        return True

    async def settle_run(self, row: SinkRunRow, holder: str, settled: SettledRun) -> None:
        """Record what came of writing a run, and give it back.

        If somebody asked for it meanwhile it stays to be written.
        """
        ours = (holder,) if self.run_is_ours else ()
        same = "CASE WHEN asked = ? THEN ? ELSE"
        async with self._transaction() as transaction:
            await transaction.execute(
                f"UPDATE sink_runs SET state = {same} state END, due_ms = {same} due_ms END,"
                f" tries = {same} tries END, is_forced = {same} is_forced END,"
                " changed_ms = ?, problem = ?, written_version = coalesce(?, written_version),"
                " row_count = coalesce(?, row_count), took_ms = coalesce(?, took_ms),"
                " written_ms = CASE WHEN ? = 1 THEN ? ELSE written_ms END,"
                f" notes = CASE WHEN ? = 1 THEN ? ELSE notes END{self.unleased}"
                f" WHERE run_uid = ? AND sink_id = ?{self.run_is_ours}",
                row.asked, settled.state, row.asked, settled.due_ms,
                row.asked, settled.tries,
                row.asked, 0 if settled.state == "done" else row.is_forced,
                settled.at_ms, settled.problem, settled.version, settled.rows, settled.took_ms,
                int(settled.version is not None), settled.at_ms,
                int(settled.version is not None), settled.notes,
                row.run_uid, row.sink_id, *ours,
            )  # fmt: skip

    async def release_runs(self, holder: str) -> None:
        """Let others have what `holder` leases."""


async def _ask(
    transaction: Transaction,
    sink_id: str,
    run_uids: Sequence[str],
    now_ms: int,
    *,
    is_forced: int = 0,
) -> None:
    await transaction.many(
        _ASK, [(run_uid, sink_id, is_forced, now_ms, now_ms) for run_uid in sorted(set(run_uids))]
    )
