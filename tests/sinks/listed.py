"""Parts of results that a test lists, and what tables of each kind hold."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import duckdb

from app.canonical import Json, canonical
from app.export.compression import Packer
from app.export.records import Result
from app.export.result_set import ResultSet
from app.export.stream import OrderChangedError, file_of, result_columns
from app.sinks.location import FileFormat, Location, read_location
from app.sinks.parts import Part, Source
from app.sinks.targets import opened_target
from app.store.views import ResultFilter, RunSnapshot
from tests.databases import fresh_postgres
from tests.export.catalogued import fields_of

TABLES = ("postgresql", "sqlite", "duckdb")
RECEIVED_MS = 1_790_000_000_123


@dataclass(frozen=True, slots=True)
class ListedPart(Part):
    """A part whose results are not read from a store."""

    listed: Sequence[Result] = ()

    async def portions(self) -> AsyncIterator[list[Result]]:
        for result in self.listed:
            yield [result]

    def file(self, file_format: FileFormat, tell: Callable[[int], None]) -> AsyncIterator[bytes]:
        writer = file_format.writer(result_columns(self.fields, file_format.writer.shape))
        whole = ResultSet([self.run], ResultFilter(), self.fields, ())
        write = whole.written(writer, file_format.writer.shape)
        tell(len(self.listed))
        return file_of(self.portions(), write, writer, Packer(file_format.compression))


class BrokenPart(ListedPart):
    """One that breaks off behind its last result."""

    async def portions(self) -> AsyncIterator[list[Result]]:
        for result in self.listed:
            yield [result]
        raise OrderChangedError(self.run.run_uid)

    @classmethod
    def of(cls, whole: ListedPart) -> "BrokenPart":
        return cls(whole.run, whole.version, whole.fields, whole.source, whole.facts, whole.listed)


def part(
    *data: Json,
    run: str = "run-1",
    version: str = "v1",
    custom_data: Json = None,
    given: Json = None,
    ids: Sequence[str] = (),
) -> ListedPart:
    """A run whose results have these data; their ids are r0, r1 … unless `ids` says others."""
    results = [
        Result(
            run_uid=run,
            result_id=ids[place] if ids else f"r{place}",
            place=place,
            source="callback",
            callback_key="c1",
            batch_uid=None,
            order_key=b"",
            input=given,
            custom_data=custom_data,
            received_ms=RECEIVED_MS,
            data=one,
        )
        for place, one in enumerate(data)
    ]
    nobody: Any = None
    source = Source(nobody, ())
    return ListedPart(RunSnapshot(run, 1), version, fields_of(results), source, b"[]", results)


def write(location: Location, *parts: Part) -> list[str]:
    """Write parts as the command does, each if its version is not there; what was noted."""

    async def writing() -> list[str]:
        notes: list[str] = []
        async with opened_target(location) as target:
            for one in parts:
                if await target.version(one.run.run_uid) != one.version:
                    notes += await target.prepare(one.fields)
                    notes += (await target.write(one)).notes
        return notes

    return asyncio.run(writing())


@contextmanager
def location_of(kind: str, folder: Path, table: str = "people") -> Iterator[Location]:
    """A table of this kind that is not there yet."""
    if kind != "postgresql":
        yield read_location(f"{kind}:///{folder}/sink.{kind}#{table}")
        return
    with fresh_postgres() as url:
        yield read_location(f"{url}#{table}")


def execute(location: Location, *statements: str) -> list[dict[str, Any]]:
    """Run statements in the database of a table; the rows of the last, by column name."""
    if location.kind == "sqlite":
        with closing(sqlite3.connect(location.address)) as database:
            for one in statements:
                cursor = database.execute(one)
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            database.commit()
            return rows
    if location.kind == "duckdb":
        with duckdb.connect(location.address) as file:
            for one in statements:
                found = file.execute(one)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    async def running() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(location.address)
        try:
            await connection.set_type_codec(
                "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
            rows: list[Any] = []
            for one in statements:
                rows = await connection.fetch(one)
            return [dict(row) for row in rows]
        finally:
            await connection.close()

    return asyncio.run(running())


def held(location: Location) -> list[dict[str, Any]]:
    """The rows of a table, ordered by their key; times and lists as their data had them."""
    name = location.table[-1]
    columns = "*"
    if location.kind == "duckdb":  # its times want a library of their own to be read
        times = execute(
            location,
            "SELECT column_name AS c FROM duckdb_columns() WHERE table_name ="
            f" '{name}' AND data_type LIKE 'TIMESTAMP%'",
        )
        shown = "strftime(\"{0}\" AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ') AS \"{0}\""
        replaced = ", ".join(shown.format(row["c"]) for row in times)
        columns = f"* REPLACE ({replaced})" if times else "*"
    rows = execute(location, f'SELECT {columns} FROM "{name}" ORDER BY "_run_uid", "_result_id"')
    return [{column: _plain(value) for column, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return canonical(value).decode() if isinstance(value, (list, dict)) else value
