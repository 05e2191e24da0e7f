"""The projection's side of the store: derived rows, read and written in batches.

One process writes this file: the worker. Synchronous, since it has its own process.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TypeVar

from app.crash_points import reach
from app.event import Event
from app.model import RunId
from app.store.derived import (
    CALLBACK_COLUMNS,
    EDGES_CALLBACK_COLUMNS,
    INPUT_COLUMNS,
    INPUT_ROW_COLUMNS,
    OUTPUT_PAGE_COLUMNS,
    RUN_ROW_COLUMNS,
    TOLD_INPUT_COLUMNS,
    callback_values,
    input_row,
    input_values,
    run_row,
    run_values,
    told_input_values,
)
from app.store.raised import EVENT_COLUMNS
from app.store.rows import (
    CallbackRow,
    Changes,
    Claim,
    EdgesCallbackRow,
    InputRow,
    OutputPage,
    RunRow,
)
from app.store.sqlite.driver import (
    Connection,
    connect_reader,
    connect_writer,
    rolled_back,
    wal_bytes,
)
from app.store.sqlite.migrations import migrate

T = TypeVar("T")

SCHEMA = "projection_schema"
CHECKPOINT_BYTES = 48 * 1024 * 1024
_PARAMETERS_MAX = 500

# Named, since the planner would rather scan the run than take many values to an index.
_BY_SEQ = "NOT INDEXED WHERE run_no = ? AND seq"
_BY_CALLBACK_KEY = "NOT INDEXED WHERE run_no = ? AND callback_key"
_BY_CONFLICT = (
    "INDEXED BY callbacks_in_conflict WHERE run_no = ? AND conflicts_with NOTNULL"
    " AND conflicts_with"
)
_BY_NUMBER = "NOT INDEXED WHERE run_no = ? AND input_no"
_BY_KEY = "INDEXED BY inputs_by_key WHERE run_no = ? AND input_key"
_BY_ALIAS = "INDEXED BY inputs_by_alias WHERE run_no = ? AND alias_key NOTNULL AND alias_key"


class SqliteProjection:
    """Reads and writes what is derived of runs."""

    def __init__(self, path: Path, outbox_path: Path) -> None:
        """`outbox_path`: the file that says which events are told already, once there is one."""
        self._path = path
        self._outbox_path = outbox_path
        self._outbox: Connection | None = None
        self._connection: Connection = connect_writer(path, cache_kib=16_384, synchronous="NORMAL")
        migrate(self._connection, SCHEMA)

    def close(self) -> None:
        """Release the files."""
        self._connection.close()
        if self._outbox is not None:
            self._outbox.close()

    def next_seq(self) -> int:
        """The first seq of the log that is not projected yet."""
        return int(self._connection.execute("SELECT next_seq FROM progress").fetchone()[0])

    def claim(self) -> Claim:
        """All that follows: nobody else projects into this file."""
        return Claim(
            None,
            self.next_seq(),
            announced_seq=self._announced_seq(),
            derivation=self.reworked_no(),
        )

    def _announced_seq(self) -> int:
        if self._outbox is None:
            if not self._outbox_path.exists():
                return 1
            self._outbox = connect_reader(self._outbox_path, cache_kib=64)
        row = self._outbox.execute("SELECT announced_seq FROM relay").fetchone()
        return int(row[0]) if row else 1

    def replace_with(self, other: "SqliteProjection") -> None:
        """Take over all of another projection in one step; readers see the old or the new."""
        other.copy_to(self._connection)

    def copy_to(self, connection: Connection) -> None:
        """Overwrite the database behind `connection` with this one, in one transaction."""
        self._connection.backup(connection)

    # ----------------------------------------------------------------- reading

    def inputs(self, run: RunId, input_keys: Collection[bytes]) -> Iterable[InputRow]:
        """Those of these inputs of a run that are known."""
        return self._inputs(run, _BY_KEY, list(input_keys))

    def aliased(self, run: RunId, alias_keys: Collection[bytes]) -> Iterable[InputRow]:
        """The inputs of a run with one of these alias keys."""
        return self._inputs(run, _BY_ALIAS, list(alias_keys))

    def edges_callbacks(self, run: RunId, uids: Sequence[str]) -> Iterable[EdgesCallbackRow]:
        """Those of these records of Edges' callbacks that are known."""
        for portion in _portions(uids):
            for row in self._connection.execute(
                f"SELECT {EDGES_CALLBACK_COLUMNS} FROM edges_callbacks"
                f" WHERE run_no = ? AND uid IN ({_marks(portion)})",
                (run.no, *portion),
            ):
                yield EdgesCallbackRow(*row)

    def with_keys(self, run: RunId, keys: Sequence[str]) -> Iterable[CallbackRow]:
        """The callbacks of a run with one of these keys; reads all of the run's."""
        return self._callbacks(run, _BY_CALLBACK_KEY, keys)

    def output_pages(self, run: RunId, *, counted_only: bool) -> Iterable[OutputPage]:
        """The pages of `/outputs` of a run; or only those of which any result counts."""
        which = " AND counted NOTNULL" if counted_only else ""
        for row in self._connection.execute(
            f"SELECT {OUTPUT_PAGE_COLUMNS} FROM output_pages WHERE run_no = ?{which}", (run.no,)
        ):
            yield OutputPage(*row)

    def with_contents(
        self, run: RunId, wanted: Sequence[tuple[int, bytes]]
    ) -> Iterable[CallbackRow]:
        """The callbacks of a run with one of these (input number, content) pairs."""
        for portion in _portions(wanted):
            values = ", ".join(["(?, ?)"] * len(portion))
            for row in self._connection.execute(
                f"WITH wanted (no, what) AS (VALUES {values}) SELECT {CALLBACK_COLUMNS}"
                " FROM wanted CROSS JOIN callbacks INDEXED BY callbacks_with_results"
                " ON run_no = ? AND input_no = no AND content NOTNULL AND content = what",
                (*chain.from_iterable(portion), run.no),
            ):
                yield CallbackRow(*row)

    def family(self, run: RunId, first_seq: int) -> list[CallbackRow]:
        """A callback and those that conflict with it."""
        return [
            *self._callbacks(run, _BY_SEQ, [first_seq]),
            *self._callbacks(run, _BY_CONFLICT, [first_seq]),
        ]

    def input(self, run: RunId, input_no: int) -> InputRow:
        """One input of a run. Raises LookupError if there is none of this number."""
        for row in self._inputs(run, _BY_NUMBER, [input_no]):
            return row
        raise LookupError(f"run {run.uid} has no input {input_no}")

    def run(self, run: RunId) -> RunRow:
        """What is known of a run; an empty row if nothing is."""
        row = self._connection.execute(
            f"SELECT {RUN_ROW_COLUMNS} FROM runs WHERE run_no = ?", (run.no,)
        ).fetchone()
        return run_row(run, row) if row else RunRow(run)

    def _callbacks(
        self, run: RunId, condition: str, values: Sequence[bytes | int | str]
    ) -> Iterable[CallbackRow]:
        for portion in _portions(values):
            for row in self._connection.execute(
                f"SELECT {CALLBACK_COLUMNS} FROM callbacks {condition} IN ({_marks(portion)})",
                (run.no, *portion),
            ):
                yield CallbackRow(*row)

    def _inputs(
        self, run: RunId, condition: str, values: Sequence[bytes | int]
    ) -> Iterable[InputRow]:
        for portion in _portions(values):
            yield from map(
                input_row,
                self._connection.execute(
                    f"SELECT {INPUT_ROW_COLUMNS} FROM inputs {condition} IN ({_marks(portion)})",
                    (run.no, *portion),
                ),
            )

    # ----------------------------------------------------------------- writing

    def save(self, changes: Sequence[Changes], claim: Claim, next_seq: int) -> bool:
        """Write `changes` and the progress to `next_seq` in one transaction.

        False, and nothing written, if the progress is no longer where it was when claimed:
        another process projected these callbacks in the meantime.
        """
        execute = self._connection.execute
        with self.transaction():
            if self.next_seq() != claim.from_seq:
                return False
            self.write(changes)
            self._save_events(
                [one for change in changes for one in change.raised()], claim, next_seq
            )
            execute("UPDATE progress SET next_seq = ?", (next_seq,))
            reach("projection before commit")
        reach("projection after commit")
        if wal_bytes(self._path) >= CHECKPOINT_BYTES:
            execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within takes effect together, or nothing."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            yield
            execute("COMMIT")
        except BaseException:
            rolled_back(self._connection)
            raise

    def write(self, changes: Sequence[Changes]) -> None:
        """Write `changes` within a transaction, and nothing of the progress."""
        for change in changes:
            self._save_inputs(change)
            self._save_callbacks(change)
            self._save_answers(change)
            self._save_run(change)

    # ------------------------------------------------------------------ erasures

    def reworked_no(self) -> int:
        """Up to which change of bodies runs are derived anew."""
        return int(self._connection.execute("SELECT rework_no FROM derived_anew").fetchone()[0])

    def note_reworked(self, rework_no: int) -> None:
        """All up to this change is derived anew."""
        self._connection.execute("UPDATE derived_anew SET rework_no = ?", (rework_no,))

    def has_untold(self, run: RunId) -> bool:
        """Whether events of a run wait to be told; those that were told go, in a transaction."""
        execute = self._connection.execute
        execute("DELETE FROM raised_events WHERE next_seq <= ?", (self._announced_seq(),))
        return bool(execute("SELECT 1 FROM raised_events WHERE run_uid = ?", (run.uid,)).fetchall())

    def drop_run(self, run: RunId) -> None:
        """Drop all that is derived of a run, within a transaction."""
        execute = self._connection.execute
        execute("DELETE FROM raised_events WHERE run_uid = ?", (run.uid,))
        for (table,) in execute(
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
            " WHERE m.type = 'table' AND c.name = 'run_no'"
        ).fetchall():
            execute(f"DELETE FROM {table} WHERE run_no = ?", (run.no,))

    def scrubbed_no(self) -> int:
        """Up to which change of bodies nothing of what was is in this file."""
        return int(self._connection.execute("SELECT scrubbed_no FROM derived_anew").fetchone()[0])

    def scrub(self, scrubbed_no: int) -> None:
        """Rewrite the file, so that nothing of what was dropped up to this change stays in it.

        If somebody reads what was, it is not noted as done: try again.
        """
        execute = self._connection.execute
        execute("PRAGMA temp_store = FILE")  # a second copy is no matter for memory
        try:
            execute("VACUUM")
        finally:
            execute("PRAGMA temp_store = MEMORY")
        (row,) = execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if not row[0]:
            execute("UPDATE derived_anew SET scrubbed_no = ?", (scrubbed_no,))

    def _save_events(self, events: Sequence[Event], claim: Claim, next_seq: int) -> None:
        self._connection.execute(
            "DELETE FROM raised_events WHERE next_seq <= ?", (claim.announced_seq,)
        )
        self._connection.executemany(
            f"INSERT INTO raised_events (next_seq, place, {EVENT_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(next_seq, place, *one) for place, one in enumerate(events)],
        )

    def _save_run(self, changes: Changes) -> None:
        run = changes.run
        values = run_values(run)
        self._connection.execute(
            f"INSERT OR REPLACE INTO runs (run_no, run_uid, {', '.join(values)})"
            f" VALUES (?, ?, {_marks(values)})",
            (*run.id, *values.values()),
        )
        self._connection.executemany(
            "INSERT INTO fields (run_no, section, name, kinds) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET kinds = kinds | excluded.kinds",
            [(run.id.no, *field, int(kinds)) for field, kinds in changes.fields.items()],
        )

    def _save_inputs(self, changes: Changes) -> None:
        run_no = changes.run.id.no
        new, new_told, known, told = [], [], [], []
        for input_no, row in sorted(changes.inputs.items()):
            derived = input_values(row)
            if input_no in changes.new_inputs:
                values = (run_no, input_no, row.input_key, row.custom_data, *derived)
                if row.told is None:
                    new.append((*values, row.input))
                else:
                    new_told.append((*values, *told_input_values(row)))
                continue
            known.append((*derived, run_no, input_no))
            if row.told is not None:
                told.append((*told_input_values(row), run_no, input_no))
        self._connection.executemany(
            f"INSERT INTO inputs (run_no, input_no, input_key, custom_data, {INPUT_COLUMNS}, input)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            new,
        )
        self._connection.executemany(
            "INSERT INTO inputs (run_no, input_no, input_key, custom_data,"
            f" {INPUT_COLUMNS}, {TOLD_INPUT_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            new_told,
        )
        self._connection.executemany(
            f"UPDATE inputs SET ({INPUT_COLUMNS}) = (?, ?, ?, ?, ?, ?, ?)"
            " WHERE run_no = ? AND input_no = ?",
            known,
        )
        self._connection.executemany(
            f"UPDATE inputs SET ({TOLD_INPUT_COLUMNS}) = (?, ?, ?, ?, ?, ?)"
            " WHERE run_no = ? AND input_no = ?",
            told,
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO custom_values (run_no, path, value, input_no)"
            " VALUES (?, ?, ?, ?)",
            sorted((run_no, *value) for value in changes.custom_values),
        )

    def _save_answers(self, changes: Changes) -> None:
        run, execute = changes.run, self._connection.execute
        self._connection.executemany(
            f"INSERT INTO output_pages (run_no, {OUTPUT_PAGE_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(run.id.no, *page) for page in changes.output_pages],
        )
        self._connection.executemany(
            f"INSERT OR REPLACE INTO edges_callbacks (run_no, {EDGES_CALLBACK_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(run.id.no, *row) for row in changes.edges_callbacks.values()],
        )
        if changes.are_inputs_placed and run.told is not None:
            placed = execute(
                "UPDATE inputs SET place = told->>1 WHERE run_no = ? AND told NOTNULL"
                " AND place IS NOT told->>1",
                (run.id.no,),
            ).rowcount
            run.told.order_no += bool(placed)
        if changes.recount is not None:
            recounted = changes.recount(
                self.output_pages(run.id, counted_only=False), self._counted_digests(run.id)
            )
            execute(
                "UPDATE output_pages SET counted = NULL WHERE run_no = ? AND counted NOTNULL",
                (run.id.no,),
            )
            self._connection.executemany(
                "UPDATE output_pages SET counted = ?"
                " WHERE run_no = ? AND walk_uid = ? AND page = ?",
                [(bits, run.id.no, *place) for place, bits in recounted.counted.items()],
            )

    def _counted_digests(self, run: RunId) -> Iterable[bytes]:
        for (digests,) in self._connection.execute(
            "SELECT digests FROM callbacks WHERE run_no = ? AND content NOTNULL AND lost_to ISNULL",
            (run.no,),
        ):
            yield digests

    def _save_callbacks(self, changes: Changes) -> None:
        run_no = changes.run.id.no
        self._connection.executemany(
            f"INSERT INTO callbacks (run_no, {CALLBACK_COLUMNS}, digests)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(run_no, *callback_values(row)) for row in changes.new_callbacks],
        )
        self._connection.executemany(
            "UPDATE callbacks SET is_winner = ?, lost_to = ? WHERE run_no = ? AND seq = ?",
            [
                (row.is_winner, row.lost_to, run_no, row.seq)
                for row in changes.changed_callbacks.values()
            ],
        )


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _portions(values: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(values), _PARAMETERS_MAX):
        yield values[start : start + _PARAMETERS_MAX]
