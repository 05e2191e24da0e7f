"""A table of a SQLite file: each run is staged beside it, and merged in one transaction."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.crash_points import reach
from app.kinds import Kinds
from app.sinks.file_table import FileTable
from app.sinks.location import Location, SinkError
from app.sinks.parts import Part, Written
from app.sinks.table import (
    COLUMNS_SUFFIX,
    KEY,
    RESULT_COLUMN,
    RUN_COLUMN,
    RUNS_SUFFIX,
    Change,
    Column,
    Dialect,
    Layout,
    Rows,
    TableType,
    no_key,
    quoted,
    refuse_foreign,
    spelled_field,
    told,
)
from app.store.sqlite.driver import Connection, Error, driver, rolled_back
from app.store.views import Fields

DIALECT = Dialect(
    name="SQLite",
    # Without a type values are kept as they come. With one that is of numbers, texts of digits
    # would become numbers, also once the column has grown to hold texts.
    types={
        "text": "TEXT",
        "boolean": "",
        "integer": "",
        "real": "",
        "time": "TEXT",
        "json": "TEXT",
    },
    columns_max=1_900,  # of 2,000
    name_bytes_max=None,
    folds_case=True,
    holds_nul=True,
)
BUSY_TIMEOUT_S = 30
"""How long others may be writing to the file."""

_STAGED = f"temp.{quoted('edges_staged')}"
_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


class SqliteTable(FileTable):
    """The target of a `sqlite:///…#table`."""

    _connection: Connection

    def __init__(self, location: Location) -> None:
        super().__init__(location, DIALECT, Error)

    def _connected(self, path: Path) -> Connection:
        connection: Connection = driver.connect(
            str(path), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA temp_store = FILE")
        return connection

    def _prepare(self, fields: Fields) -> list[str]:
        if not self._layout.changes(fields):
            return []
        with self._transaction():
            layout = self._read_layout()  # others may have changed it meanwhile
            changes = layout.changes(fields)
            self._change(changes)
        layout.apply(changes)
        self._layout = layout
        return [note for change in changes if (note := told(change))]

    async def write(self, part: Part) -> Written:
        """Rows are staged first, so that the file is locked only while they are merged."""
        layout = await self._run(self._current_layout)
        rows, columns = Rows(layout, DIALECT), layout.columns_there()
        await self._run(self._stage, columns)
        marks = ", ".join("?" * len(columns))
        async for portion in part.portions():
            made = await asyncio.to_thread(rows.of, portion)
            await self._run(
                lambda some: self._connection.executemany(
                    f"INSERT INTO {_STAGED} VALUES ({marks})", some
                ),
                made,
            )
        count = await self._run(self._merge, part.run.run_uid, part.version, columns)
        return Written(count, rows.notes())

    def _stage(self, columns: Sequence[Column]) -> None:
        names = ", ".join(quoted(column.name or "") for column in columns)
        self._connection.execute(f"DROP TABLE IF EXISTS {_STAGED}")
        self._connection.execute(f"CREATE TABLE {_STAGED} ({names})")

    def _merge(self, run_uid: str, version: str, columns: Sequence[Column]) -> int:
        table, result_id = self._sql(), quoted(RESULT_COLUMN)
        names = ", ".join(quoted(column.name or "") for column in columns)
        others = [quoted(column.name or "") for column in columns if column.name not in KEY]
        changed = ", ".join(f"{name} = excluded.{name}" for name in others)
        with self._transaction():
            known = self._layout
            if self._current_layout() is not known:
                raise SinkError(
                    f"{self._location.shown}: somebody else changed its columns meanwhile: again"
                )
            self._connection.execute(
                f"DELETE FROM {table} WHERE {quoted(RUN_COLUMN)} = ? AND {result_id} NOT IN"
                f" (SELECT {result_id} FROM {_STAGED})",
                (run_uid,),
            )
            self._connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM {_STAGED} WHERE true"
                f" ON CONFLICT ({quoted(KEY[0])}, {quoted(KEY[1])}) DO UPDATE SET {changed}"
            )
            reach("sink.merged")
            ((count,),) = self._rows(f"SELECT count(*) FROM {_STAGED}")
            self._connection.execute(
                f"INSERT INTO {self._sql(RUNS_SUFFIX)} (run_uid, version, rows, written_at)"
                f" VALUES (?, ?, ?, {_NOW}) ON CONFLICT (run_uid) DO UPDATE SET"
                " version = excluded.version, rows = excluded.rows,"
                " written_at = excluded.written_at",
                (run_uid, version, count),
            )
        return int(count)

    def _there(self, suffix: str = "") -> dict[str, str]:
        """As SQLite spells them."""
        return dict(self._rows("SELECT name, type FROM pragma_table_info(?)", self._table + suffix))

    def _make(self) -> None:
        """The tables, where they are missing; what is there and not ours is looked at."""
        if self._there(COLUMNS_SUFFIX):
            return
        key = f"{quoted(KEY[0])}, {quoted(KEY[1])}"
        there = self._there()
        if there:
            refuse_foreign(f"the table {self._table}", there)
            try:
                self._rows(
                    f"EXPLAIN INSERT INTO {self._sql()} ({key}) VALUES ('', '')"
                    f" ON CONFLICT ({key}) DO NOTHING"
                )
            except Error:
                raise no_key(f"the table {self._table}") from None
        adopted = ", is_adopted" if there else ""
        self._connection.execute(
            f"CREATE TABLE {self._sql(COLUMNS_SUFFIX)} (field TEXT PRIMARY KEY, column_name TEXT,"
            f" kinds INTEGER NOT NULL{adopted})"
        )
        self._connection.execute(
            f"CREATE TABLE {self._sql(RUNS_SUFFIX)} (run_uid TEXT PRIMARY KEY,"
            " version TEXT NOT NULL, rows INTEGER NOT NULL, written_at TEXT NOT NULL)"
        )
        for name in KEY:
            self._note(Column(name, name, Kinds.TEXT))

    def _current_layout(self) -> Layout:
        """The one that is known, unless somebody else has changed it."""
        ((count, kinds),) = self._rows(
            f"SELECT count(*), coalesce(sum(kinds), 0) FROM {self._sql(COLUMNS_SUFFIX)}"
        )
        if self._layout.stamp != (count, kinds):
            self._layout = self._read_layout()
        return self._layout

    def _note(self, column: Column) -> None:
        self._connection.execute(
            f"INSERT INTO {self._sql(COLUMNS_SUFFIX)} (field, column_name, kinds) VALUES (?, ?, ?)"
            " ON CONFLICT (field) DO UPDATE SET kinds = excluded.kinds",
            (spelled_field(column.field), column.name, int(column.kinds)),
        )

    def _change(self, changes: Sequence[Change]) -> None:
        is_there = bool(self._there())
        if not is_there:  # with all columns at once: to add them later takes longer for each
            added = [f", {_definition(change.column)}" for change in changes if change.adds]
            self._connection.execute(
                f"CREATE TABLE {self._sql()} ({quoted(KEY[0])} TEXT, {quoted(KEY[1])} TEXT"
                f"{''.join(added)}, PRIMARY KEY ({quoted(KEY[0])}, {quoted(KEY[1])}))"
            )
        for change in changes:
            name = quoted(change.column.name or "")
            if change.adds and is_there:
                self._connection.execute(
                    f"ALTER TABLE {self._sql()} ADD COLUMN {_definition(change.column)}"
                )
            elif change.alters:
                self._connection.execute(
                    f"UPDATE {self._sql()} SET {name} ="
                    f" {_cast(name, change.was, change.column.type)} WHERE {name} IS NOT NULL"
                )
            self._note(change.column)
        if any(change.respells for change in changes):
            self._connection.execute(f"UPDATE {self._sql(RUNS_SUFFIX)} SET version = ''")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            rolled_back(self._connection)
            raise
        self._connection.execute("COMMIT")


def _definition(column: Column) -> str:
    held = column.kinds & ~Kinds.NULL  # nothing yet: it may be numbers one day
    return f"{quoted(column.name or '')} {DIALECT.types[column.type] if held else ''}"


def _cast(name: str, was: TableType | None, becomes: TableType) -> str:
    if was == "boolean":
        return f"CASE {name} WHEN 0 THEN 'false' ELSE 'true' END"
    if becomes in {"text", "real"}:
        return f"CAST({name} AS {becomes.upper()})"
    return name
