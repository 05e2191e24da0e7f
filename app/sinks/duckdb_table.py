"""A table of a DuckDB file: each run is staged as a file of JSON lines, and merged at once."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.canonical import dumps
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
    Rows,
    TableType,
    quoted,
    refuse_foreign,
    spelled_field,
    told,
)
from app.store.views import Fields

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DIALECT = Dialect(
    name="DuckDB",
    types={
        "text": "VARCHAR",
        "boolean": "BOOLEAN",
        "integer": "BIGINT",
        "real": "DOUBLE",
        "time": "TIMESTAMP WITH TIME ZONE",
        "json": "JSON",
    },
    columns_max=10_000,
    name_bytes_max=None,
    folds_case=True,
    holds_nul=True,
)
_LINE_BYTES_MAX = 1024 * 1024 * 1024
"""Of a row as JSON: more than the largest callback makes."""

_STAGED = quoted("edges_staged")
_TIME_TEXT = "strftime({0} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"


class DuckdbTable(FileTable):
    """The target of a `duckdb:///…#table`.

    There is no primary key: DuckDB cannot delete a row and insert its successor within one
    transaction if there is one. What is merged has each key once.
    """

    _connection: "DuckDBPyConnection"

    def __init__(self, location: Location) -> None:
        try:
            import duckdb  # noqa: PLC0415 - needs the extra
        except ImportError as missing:
            raise SinkError(
                "DuckDB needs the extra `duckdb`: pip install 'edges-collector[duckdb]'"
            ) from missing
        super().__init__(location, DIALECT, duckdb.Error)
        self._connect = duckdb.connect

    def _connected(self, path: Path) -> "DuckDBPyConnection":
        connection = self._connect(path)
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def _prepare(self, fields: Fields) -> list[str]:
        changes = self._layout.changes(fields)
        if not changes:
            return []
        with self._transaction():
            self._change(changes)
        self._layout.apply(changes)  # nobody else has the file open
        return [note for change in changes if (note := told(change))]

    async def write(self, part: Part) -> Written:
        """Rows go through a file beside the database, since DuckDB reads those best."""
        rows = Rows(self._layout, DIALECT)
        columns = self._layout.columns_there()
        with tempfile.TemporaryDirectory(
            prefix=".edges-sink-", dir=self._location.path.parent, ignore_cleanup_errors=True
        ) as folder:
            staged = Path(folder) / "rows.ndjson"
            with staged.open("wb") as file:
                async for portion in part.portions():
                    lines = await asyncio.to_thread(_lines, rows, portion)
                    await asyncio.to_thread(file.write, lines)
            count = await self._run(self._merge, part.run.run_uid, part.version, columns, staged)
        return Written(count, rows.notes())

    def _merge(self, run_uid: str, version: str, columns: Sequence[Column], staged: Path) -> int:
        execute, table = self._connection.execute, self._sql()
        names = [quoted(column.name or "") for column in columns]
        # As texts where DuckDB would look into them: JSON is kept as it is spelled.
        types = [
            "VARCHAR" if column.type == "json" else DIALECT.types[column.type] for column in columns
        ]
        read = ", ".join(f"'c{n}': '{sql_type}'" for n, sql_type in enumerate(types))
        renamed = ", ".join(f"c{n} AS {name}" for n, name in enumerate(names))
        if not staged.stat().st_size:
            staged.write_bytes(b"{}\n")  # no lines would be no JSON; what has no key is dropped
        same_key = " AND ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in KEY)
        others = [name for name in names if name not in {quoted(key) for key in KEY}]
        with self._transaction():
            execute(
                f"CREATE OR REPLACE TEMPORARY TABLE {_STAGED} AS SELECT {renamed} FROM"
                " read_json(?, format = 'newline_delimited', auto_detect = false,"
                f" maximum_object_size = {_LINE_BYTES_MAX}, columns = {{{read}}})"
                " WHERE c0 IS NOT NULL",
                [str(staged)],
            )
            execute(
                f"DELETE FROM {table} WHERE {quoted(RUN_COLUMN)} = ? AND {quoted(RESULT_COLUMN)}"
                f" NOT IN (SELECT {quoted(RESULT_COLUMN)} FROM {_STAGED})",
                [run_uid],
            )
            execute(
                f"UPDATE {table} AS t SET {', '.join(f'{n} = s.{n}' for n in others)}"
                f" FROM {_STAGED} s WHERE {same_key}"
                f" AND ({' OR '.join(f't.{n} IS DISTINCT FROM s.{n}' for n in others)})"
            )
            execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(names)}"
                f" FROM {_STAGED} s WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same_key})"
            )
            reach("sink.merged")
            ((count,),) = self._rows(f"SELECT count(*) FROM {_STAGED}")
            execute(f"DROP TABLE {_STAGED}")
            execute(f"DELETE FROM {self._sql(RUNS_SUFFIX)} WHERE run_uid = ?", [run_uid])
            execute(
                f"INSERT INTO {self._sql(RUNS_SUFFIX)} VALUES (?, ?, ?, now())",
                [run_uid, version, count],
            )
        return int(count)

    def _there(self, suffix: str = "") -> dict[str, str]:
        """As DuckDB spells them."""
        return dict(
            self._rows(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'main'"
                " AND database_name = current_database() AND lower(table_name) = lower(?)",
                self._table + suffix,
            )
        )

    def _make(self) -> None:
        """The tables, where they are missing; what is there and not ours is looked at."""
        if self._there(COLUMNS_SUFFIX):
            return
        there = self._there()
        if there:
            refuse_foreign(f"the table {self._table}", there)
        adopted = ", is_adopted BOOLEAN" if there else ""
        execute = self._connection.execute
        execute(
            f"CREATE TABLE {self._sql(COLUMNS_SUFFIX)} (field VARCHAR, column_name VARCHAR,"
            f" kinds INTEGER{adopted})"
        )
        execute(
            f"CREATE TABLE {self._sql(RUNS_SUFFIX)} (run_uid VARCHAR, version VARCHAR,"
            " rows BIGINT, written_at TIMESTAMP WITH TIME ZONE)"
        )
        for name in KEY:
            self._note(Column(name, name, Kinds.TEXT))

    def _note(self, column: Column) -> None:
        execute, table = self._connection.execute, self._sql(COLUMNS_SUFFIX)
        field = spelled_field(column.field)
        execute(f"DELETE FROM {table} WHERE field = ?", [field])
        execute(
            f"INSERT INTO {table} (field, column_name, kinds) VALUES (?, ?, ?)",
            [field, column.name, int(column.kinds)],
        )

    def _change(self, changes: Sequence[Change]) -> None:
        is_there = bool(self._there())
        if not is_there:  # with all columns at once: to add them later takes longer for each
            added = [
                f", {quoted(change.column.name or '')} {DIALECT.types[change.column.type]}"
                for change in changes
                if change.adds
            ]
            self._connection.execute(
                f"CREATE TABLE {self._sql()}"
                f" ({quoted(KEY[0])} VARCHAR, {quoted(KEY[1])} VARCHAR{''.join(added)})"
            )
        for change in changes:
            name, sql_type = quoted(change.column.name or ""), DIALECT.types[change.column.type]
            if change.adds and is_there:
                self._connection.execute(f"ALTER TABLE {self._sql()} ADD COLUMN {name} {sql_type}")
            elif change.alters:
                self._connection.execute(
                    f"ALTER TABLE {self._sql()} ALTER COLUMN {name} SET DATA TYPE {sql_type}"
                    f" USING {_cast(name, change.was, change.column.type)}"
                )
            self._note(change.column)
        if any(change.respells for change in changes):
            self._connection.execute(f"UPDATE {self._sql(RUNS_SUFFIX)} SET version = ''")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _lines(rows: Rows, portion: Any) -> bytes:
    return b"".join(
        dumps({f"c{n}": cell for n, cell in enumerate(row) if cell is not None}) + b"\n"
        for row in rows.of(portion)
    )


def _cast(name: str, was: TableType | None, becomes: TableType) -> str:
    if was == "time" and becomes == "text":
        return _TIME_TEXT.format(name)
    return f"CAST(CAST({name} AS VARCHAR) AS {DIALECT.types[becomes]})"
