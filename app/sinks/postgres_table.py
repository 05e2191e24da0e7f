"""A table of a PostgreSQL database: rows come by COPY, and each run in one transaction."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from app.crash_points import reach
from app.kinds import Kinds
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
    read_field,
    refuse_foreign,
    spelled_field,
    told,
)
from app.store.postgres.driver import OUTAGE, Connection, connect, reason
from app.store.views import Fields

DIALECT = Dialect(
    name="PostgreSQL",
    types={
        "text": "text",
        "boolean": "boolean",
        "integer": "bigint",
        "real": "double precision",
        "time": "timestamp with time zone",
        "json": "jsonb",
    },
    columns_max=1_500,  # of 1,600, since columns that were dropped count too
    name_bytes_max=63,
    folds_case=False,
    holds_nul=False,
    reserved=frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}),
    has_times=True,
)
LOCK_TIMEOUT_S = 30
"""How long an added column waits for those who read the table."""

_TEXT = Kinds.TEXT
_STAGED = quoted("edges_staged")
_TIME_TEXT = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


class PostgresTable:
    """The target of a `postgresql://…#table`."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._connection: Connection | None = None
        self._layout: Layout | None = None
        self._table: tuple[str, ...] = location.table
        self._run_text = ""

    async def open(self) -> None:
        """Connect, and make the tables where they are missing."""
        with self._problems():
            settings = {"lock_timeout": f"{LOCK_TIMEOUT_S}s", "TimeZone": "UTC"}
            try:
                self._connection = connection = await connect(self._location.address, settings)
            except ValueError as error:  # no address that the driver can read
                text = self._location.without_secrets(str(error))
                raise SinkError(f"{self._location.shown}: {text}") from None
            if len(self._table) == 1:
                schema = await connection.fetchval("SELECT current_schema()")
                if schema is None:
                    raise SinkError(
                        f"{self._location.shown}: no schema of the search path is there; name one,"
                        " as in …#schema.table"
                    )
                self._table = (schema, *self._table)
            if len(self._name(COLUMNS_SUFFIX)[-1].encode()) > (DIALECT.name_bytes_max or 0):
                raise SinkError(
                    f"{self._location.shown}: the name of the table is too long; PostgreSQL takes"
                    f" {(DIALECT.name_bytes_max or 0) - len(COLUMNS_SUFFIX)} bytes of it"
                )
            async with connection.transaction():
                await self._lock_layout()
                await self._make()
            self._layout = await self._read_layout()

    async def close(self) -> None:
        """Disconnect."""
        if self._connection is not None and not self._connection.is_closed():
            self._connection.terminate()

    async def version(self, run_uid: str) -> str | None:
        """As its `__runs` has it."""
        with self._problems():
            found: str | None = await self._opened.fetchval(
                f"SELECT version FROM {self._sql(RUNS_SUFFIX)} WHERE run_uid = $1", held(run_uid)
            )
        return found or None

    async def prepare(self, fields: Fields) -> list[str]:
        """Columns are added; those whose values outgrew their type are altered."""
        if self._layout is None or not self._layout.changes(fields):
            return []
        with self._problems():
            async with self._opened.transaction():
                await self._lock_layout()
                layout = await self._read_layout()  # others may have changed it meanwhile
                changes = layout.changes(fields)
                await self._change(changes)
            layout.apply(changes)
        self._layout = layout
        return [note for change in changes if (note := told(change))]

    async def write(self, part: Part) -> Written:
        """Staged by COPY, then merged: rows that are no longer there go, others stay as they are.

        Columns that others added to the table keep what they hold.
        """
        run_uid = held(part.run.run_uid)
        table, runs = self._sql(), self._sql(RUNS_SUFFIX)
        with self._problems():
            connection = self._opened
            async with connection.transaction():
                # Whoever else writes this run waits here.
                await connection.execute(
                    f"INSERT INTO {runs} (run_uid, version, rows) VALUES ($1, '', 0)"
                    " ON CONFLICT (run_uid) DO UPDATE SET version = excluded.version",
                    run_uid,
                )
                # From here on nobody alters a column; what others have altered is read.
                await connection.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
                layout = await self._current_layout()
                rows, columns = Rows(layout, DIALECT), layout.columns_there()
                names = ", ".join(quoted(column.name or "") for column in columns)
                await connection.execute(
                    f"CREATE TEMPORARY TABLE {_STAGED} ON COMMIT DROP AS"
                    f" SELECT {names} FROM {table} WITH NO DATA"
                )
                await connection.copy_records_to_table(
                    "edges_staged",
                    records=_rows(part, rows),
                    columns=[column.name for column in columns],
                )
                await connection.execute(
                    f"DELETE FROM {table} t WHERE t.{quoted(RUN_COLUMN)} = $1 AND NOT EXISTS"
                    f" (SELECT FROM {_STAGED} s"
                    f" WHERE s.{quoted(RESULT_COLUMN)} = t.{quoted(RESULT_COLUMN)})",
                    run_uid,
                )
                await connection.execute(_merging(table, columns, names))
                reach("sink.merged")
                count = int(await connection.fetchval(f"SELECT count(*) FROM {_STAGED}"))
                await connection.execute(
                    f"UPDATE {runs} SET version = $2, rows = $3, written_at = now()"
                    " WHERE run_uid = $1",
                    run_uid,
                    part.version,
                    count,
                )
        return Written(count, rows.notes())

    @property
    def _opened(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            raise SinkError(f"{self._location.shown}: the connection is lost")
        return self._connection

    def _name(self, suffix: str = "") -> tuple[str, ...]:
        return (*self._table[:-1], self._table[-1] + suffix)

    def _sql(self, suffix: str = "") -> str:
        return quoted(*self._name(suffix))

    async def _lock_layout(self) -> None:
        """Until the end of the transaction nobody else changes the columns."""
        await self._opened.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 7305))", self._sql()
        )

    async def _there(self) -> dict[str, str]:
        """The columns that the table has, with their types; none if it is not there."""
        rows = await self._opened.fetch(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')"
            " AND a.attnum > 0 AND NOT a.attisdropped",
            *self._table,
        )
        return dict(map(tuple, rows))

    async def _make(self) -> None:
        """The tables, where they are missing; what is there and not ours is looked at."""
        connection, types = self._opened, DIALECT.types
        is_ours = await connection.fetchval(
            "SELECT to_regclass($1) IS NOT NULL", self._sql(COLUMNS_SUFFIX)
        )
        if is_ours:
            return
        there = await self._there()
        if there or await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", self._sql()):
            refuse_foreign(f"the table {'.'.join(self._table)}", there)
            try:
                async with connection.transaction():
                    await connection.execute(
                        f"EXPLAIN INSERT INTO {self._sql()} ({quoted(KEY[0])}, {quoted(KEY[1])})"
                        f" VALUES ('', '') ON CONFLICT ({quoted(KEY[0])}, {quoted(KEY[1])})"
                        " DO NOTHING"
                    )
            except OUTAGE as error:
                if getattr(error, "sqlstate", "") == "42P10":  # no such index
                    raise no_key(f"the table {'.'.join(self._table)}") from None
                raise
        await connection.execute(
            f"CREATE TABLE {self._sql(COLUMNS_SUFFIX)} (field text PRIMARY KEY, column_name text,"
            " kinds integer NOT NULL)"
        )
        comment = "adopted" if there else "made by edges-collector"
        await connection.execute(f"COMMENT ON TABLE {self._sql(COLUMNS_SUFFIX)} IS '{comment}'")
        await connection.execute(
            f"CREATE TABLE {self._sql(RUNS_SUFFIX)} (run_uid text PRIMARY KEY,"
            " version text NOT NULL, rows bigint NOT NULL,"
            " written_at timestamp with time zone NOT NULL DEFAULT now())"
        )
        if not there:
            await connection.execute(
                f"CREATE TABLE {self._sql()} ({quoted(KEY[0])} {types['text']},"
                f" {quoted(KEY[1])} {types['text']},"
                f" PRIMARY KEY ({quoted(KEY[0])}, {quoted(KEY[1])}))"
            )
            for name in KEY:  # which it has by now; the others are added as they appear
                await self._note(Column(name, name, _TEXT))

    async def _read_layout(self) -> Layout:
        connection = self._opened
        rows = await connection.fetch(
            f"SELECT field, column_name, kinds FROM {self._sql(COLUMNS_SUFFIX)}"
        )
        comment = await connection.fetchval(
            "SELECT obj_description($1::regclass, 'pg_class')", self._sql(COLUMNS_SUFFIX)
        )
        return Layout(
            DIALECT,
            ".".join(self._table),
            [(read_field(name), column, kinds) for name, column, kinds in rows],
            await self._there(),
            is_adopted=comment == "adopted",
        )

    async def _current_layout(self) -> Layout:
        """The one that is known, unless somebody else has changed it."""
        count, kinds = await self._opened.fetchrow(
            f"SELECT count(*), coalesce(sum(kinds), 0) FROM {self._sql(COLUMNS_SUFFIX)}"
        )
        if self._layout is None or self._layout.stamp != (count, kinds):
            self._layout = await self._read_layout()
        return self._layout

    async def _note(self, column: Column) -> None:
        await self._opened.execute(
            f"INSERT INTO {self._sql(COLUMNS_SUFFIX)} (field, column_name, kinds)"
            " VALUES ($1, $2, $3) ON CONFLICT (field) DO UPDATE SET kinds = excluded.kinds",
            spelled_field(column.field),
            column.name,
            int(column.kinds),
        )

    async def _change(self, changes: Sequence[Change]) -> None:
        clauses = []
        for change in changes:
            name = quoted(change.column.name or "")
            sql_type = DIALECT.types[change.column.type]
            if change.adds:
                clauses.append(f"ADD COLUMN {name} {sql_type}")
            elif change.alters:
                using = _cast(name, change.was, change.column.type)
                clauses.append(f"ALTER COLUMN {name} TYPE {sql_type} USING {using}")
            await self._note(change.column)
        if clauses:
            await self._opened.execute(f"ALTER TABLE {self._sql()} {', '.join(clauses)}")
        if any(change.respells for change in changes):
            await self._opened.execute(f"UPDATE {self._sql(RUNS_SUFFIX)} SET version = ''")

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """What the driver raises, as SinkError."""
        try:
            yield
        except OUTAGE as error:
            text = self._location.without_secrets(reason(error))
            if text.startswith("row is too big"):
                text += (
                    ": a row of PostgreSQL has room for some 400 values of any kind; a table"
                    " of DuckDB or SQLite has for more"
                )
            raise SinkError(f"{self._location.shown}: {text}") from error


def held(text: str) -> str:
    """A text as PostgreSQL can hold it."""
    return text.replace("\0", "\ufffd")


async def _rows(part: Part, rows: Rows) -> AsyncIterator[tuple[Any, ...]]:
    async for portion in part.portions():
        for row in await asyncio.to_thread(rows.of, portion):
            yield row


def _merging(table: str, columns: Sequence[Column], names: str) -> str:
    """Staged rows into the table. What is the same already is not written again."""
    key = f"{quoted(RUN_COLUMN)}, {quoted(RESULT_COLUMN)}"
    others = [quoted(column.name or "") for column in columns if column.name not in KEY]
    return (
        f"INSERT INTO {table} AS t ({names}) SELECT {names} FROM {_STAGED}"
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in others)}"
        f" WHERE ({', '.join(f't.{n}' for n in others)})"
        f" IS DISTINCT FROM ({', '.join(f'excluded.{n}' for n in others)})"
    )


def _cast(name: str, was: TableType | None, becomes: TableType) -> str:
    if was == "time" and becomes == "text":
        return _TIME_TEXT.format(name)
    return f"{name}::text::{DIALECT.types[becomes]}"
