"""The database that the settings name: one of the stores, opened for what it is needed for."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.store import migrations
from app.store.migrations import SchemaState
from app.store.protocol import (
    LogReader,
    NoLogError,
    Projection,
    Rework,
    SchemaError,
    Store,
    StoreUnavailableError,
)
from app.store.reader import Reader
from app.store.sqlite import driver as sqlite_driver
from app.store.sqlite import migrations as sqlite_migrations
from app.store.sqlite.log_reader import SqliteLogReader
from app.store.sqlite.projection import SqliteProjection
from app.store.sqlite.reader import SqliteReader
from app.store.sqlite.rework import SqliteRework
from app.store.sqlite.source import SqliteSource
from app.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from app.settings import Settings
    from app.store.postgres.reader import PostgresReader
    from app.store.postgres.target import PostgresTarget
    from app.work_settings import WorkSettings


def store_of(
    settings: "Settings",
    on_news: Callable[[], None],
    on_events: Callable[[], None] = lambda: None,
) -> Store:
    """The store for the service; not open yet.

    `on_news` is called when there is something to project that came by another way than
    this process, `on_events` when another replica told of events. Raises StoreError if what
    the store needs is not installed.
    """
    if settings.postgres_url is None:
        return SqliteStore(
            settings.log_path,
            settings.projection_path,
            settings.outbox_path,
            checkpoint_bytes=settings.checkpoint_bytes,
        )
    from app.store.postgres.store import PostgresStore  # noqa: PLC0415 - needs the extra

    return PostgresStore(settings.postgres_url, on_news=on_news, on_events=on_events)


def schema_states(settings: "Settings") -> list[SchemaState]:
    """How far each part of the database is; nothing is changed, and nothing made.

    A part of which nothing is applied does not exist yet. Raises SchemaError if the database
    is not one of this version or an earlier one, or another StoreError.
    """
    if settings.postgres_url is not None:
        from app.store.postgres.migrations import states  # noqa: PLC0415 - needs the extra

        return asyncio.run(states(settings.postgres_url))
    return sqlite_migrations.states(_files(settings))


def existing_states(settings: "Settings") -> list[SchemaState]:
    """As `schema_states`, of a database that is there. Raises NoLogError if there is none."""
    states = schema_states(settings)
    if not any(state.applied for state in states):
        where = settings.log_path if settings.postgres_url is None else "this PostgreSQL schema"
        raise NoLogError(f"there is no database at {where}; COLLECTOR_DATA_DIR says where it is")
    return states


def migrate(settings: "Settings") -> dict[str, list[str]]:
    """Bring the database up to the newest schema; the names of the steps applied, by part.

    Other replicas may do the same meanwhile; a SQLite database may not be in use. Raises
    StoreError or OSError.
    """
    if settings.postgres_url is not None:
        from app.store.postgres.migrations import migrate_database  # noqa: PLC0415 - as above

        return asyncio.run(migrate_database(settings.postgres_url))
    return sqlite_migrations.migrate_files(_files(settings))


def _files(settings: "Settings") -> Mapping[str, Path]:
    paths = (settings.log_path, settings.projection_path, settings.outbox_path)
    return dict(zip(migrations.PARTS, paths, strict=True))


class Work(NamedTuple):
    """What a worker reads and writes."""

    log: LogReader
    projection: Projection
    rework: Rework


@contextmanager
def opened_for_work(settings: "Settings | WorkSettings", worker_name: str) -> Iterator[Work]:
    """The log and the projection, for one worker. The service has made or migrated them.

    No two workers that run at the same time may have the same name.
    """
    if settings.postgres_url is not None:
        from app.store.postgres.work import opened  # noqa: PLC0415 - needs the extra

        with opened(settings.postgres_url, worker_name) as work:
            yield Work(*work)
        return
    log = SqliteLogReader(settings.log_path)
    projection = SqliteProjection(settings.projection_path, settings.outbox_path)
    yield Work(log, projection, SqliteRework(log, projection))
    projection.close()
    log.close()


def _refuse_pending(states: Sequence[SchemaState]) -> None:
    """Raise SchemaError if a database that exists is one of an earlier version."""
    if any(state.applied for state in states) and any(state.pending for state in states):
        raise SchemaError(
            "the database's schema is that of an earlier version:"
            " run `edges-collector migrate up` first"
        )


@contextmanager
def opened_for_copy(
    given: "Settings", wanted: "Settings"
) -> Iterator[tuple[SqliteSource, "PostgresTarget"]]:
    """The SQLite database of `given` to be read, the PostgreSQL one of `wanted` to be written.

    Raises StoreError: NoLogError or SchemaError if there is no such source.
    """
    from app.store.postgres.target import PostgresTarget  # noqa: PLC0415 - needs the extra

    url = wanted.postgres_url
    if url is None:
        raise ValueError(f"a copy goes to PostgreSQL, not to {wanted.log_path}")
    with (
        SqliteSource.opened(given.log_path, given.projection_path, given.outbox_path) as source,
        PostgresTarget.opened(url) as target,
    ):
        yield source, target


class Rebuild(NamedTuple):
    """A new projection in the making, beside the one in use."""

    log: LogReader
    projection: Projection
    replace: Callable[[], None]
    """Put it in the place of the one in use, in one step."""


@contextmanager
def opened_for_rebuild(settings: "Settings") -> Iterator[Rebuild]:
    """The log, and an empty projection that goes away if it does not replace the one in use.

    Raises NoLogError, SchemaError if the database is not of this version, or another
    StoreError.
    """
    if settings.postgres_url is not None:
        _refuse_pending(schema_states(settings))
        from app.store.postgres.work import opened_for_rebuild  # noqa: PLC0415 - needs the extra

        with opened_for_rebuild(settings.postgres_url) as rebuild:
            yield Rebuild(*rebuild)
        return
    if not settings.log_path.exists():
        raise NoLogError(
            f"there is no log at {settings.log_path}; COLLECTOR_DATA_DIR says where it is"
        )
    log_state, *_ = schema_states(settings)  # of the projection all is replaced, schema and all
    _refuse_pending([log_state])
    log = SqliteLogReader(settings.log_path)
    with tempfile.TemporaryDirectory(
        prefix="rebuild-", dir=settings.projection_path.parent, ignore_cleanup_errors=True
    ) as folder:
        fresh = SqliteProjection(Path(folder) / "projection.db", settings.outbox_path)
        fresh.note_reworked(log.last_rework())  # what changes from here on is derived anew after it

        def replace() -> None:
            old = SqliteProjection(settings.projection_path, settings.outbox_path)
            old.replace_with(fresh)
            old.close()

        yield Rebuild(log, fresh, replace)
        fresh.close()
    log.close()


@asynccontextmanager
async def opened_for_reading(settings: "Settings") -> AsyncIterator[Reader]:
    """What the API reads, without a collector, or beside one that runs; nothing is changed.

    Raises NoLogError, SchemaError if the database is not of this version, or another StoreError.
    """
    _refuse_pending(await asyncio.to_thread(existing_states, settings))
    reader = await _opened_reader(settings)
    try:
        yield reader
    finally:
        await reader.close()


async def _opened_reader(settings: "Settings") -> "SqliteReader | PostgresReader":
    if settings.postgres_url is not None:
        from app.store.postgres import reader as postgres  # noqa: PLC0415 - needs the extra

        shared = postgres.PostgresReader(settings.postgres_url)
        await shared.open()
        return shared
    reader = SqliteReader(settings.log_path, settings.projection_path, settings.outbox_path)
    try:
        await reader.open()
    except sqlite_driver.Error as error:
        raise StoreUnavailableError(f"{settings.log_path} cannot be read: {error}") from error
    return reader
