"""Which target a location has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.sinks.folder import Folder
from app.sinks.location import FileFormat, Location, SinkError
from app.sinks.part_files import PartFiles
from app.sinks.parts import Target
from app.store.protocol import StoreError


def target_of(location: Location) -> Target:
    """The target, not open yet. Raises SinkError if what it needs is not installed.

    A file, and the output, take all runs at once, and are no such target: see `writing`.
    """
    match location.kind:
        case "folder":
            return PartFiles(Folder(location.path), _format(location))
        case "objects":
            from app.sinks.objects import Objects  # noqa: PLC0415 - needs the extra

            return PartFiles(Objects.of(location), _format(location))
        case "postgresql":
            try:
                from app.sinks.postgres_table import PostgresTable  # noqa: PLC0415 - likewise
            except StoreError as missing:
                raise SinkError(str(missing)) from missing
            return PostgresTable(location)
        case "sqlite":
            from app.sinks.sqlite_table import SqliteTable  # noqa: PLC0415

            return SqliteTable(location)
        case "duckdb":
            from app.sinks.duckdb_table import DuckdbTable  # noqa: PLC0415

            return DuckdbTable(location)
        case _:
            raise SinkError(f"{location.shown} holds no parts")


@asynccontextmanager
async def opened_target(location: Location) -> AsyncIterator[Target]:
    """The target, to be written to. Raises SinkError."""
    target = target_of(location)
    try:
        await target.open()
        yield target
    finally:
        await target.close()


def _format(location: Location) -> FileFormat:
    if location.file_format is None:
        raise SinkError(f"{location.shown} has no format")
    return location.file_format
