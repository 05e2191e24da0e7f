"""The database that the settings name: one of the stores, opened for what it is needed for."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from app.settings import Settings
from app.store.protocol import LogReader, NoLogError, Projection, Store
from app.store.sqlite.log_reader import SqliteLogReader
from app.store.sqlite.projection import SqliteProjection
from app.store.sqlite.store import SqliteStore


def store_of(settings: Settings, on_news: Callable[[], None]) -> Store:
    """The store for the service; not open yet.

    `on_news` is called when there is something to project that came by another way than
    this process. Raises StoreError if what the store needs is not installed.
    """
    if settings.postgres_url is None:
        return SqliteStore(
            settings.log_path, settings.projection_path, checkpoint_bytes=settings.checkpoint_bytes
        )
    from app.store.postgres.store import PostgresStore  # noqa: PLC0415 - needs the extra

    return PostgresStore(settings.postgres_url, on_news=on_news)


class Work(NamedTuple):
    """What a worker reads and writes."""

    log: LogReader
    projection: Projection


@contextmanager
def opened_for_work(settings: Settings, worker_name: str) -> Iterator[Work]:
    """The log and the projection, for one worker. The service has made or migrated them.

    No two workers that run at the same time may have the same name.
    """
    if settings.postgres_url is not None:
        from app.store.postgres.work import opened  # noqa: PLC0415 - needs the extra

        with opened(settings.postgres_url, worker_name) as work:
            yield Work(*work)
        return
    log = SqliteLogReader(settings.log_path)
    projection = SqliteProjection(settings.projection_path)
    yield Work(log, projection)
    projection.close()
    log.close()


class Rebuild(NamedTuple):
    """A new projection in the making, beside the one in use."""

    log: LogReader
    projection: Projection
    replace: Callable[[], None]
    """Put it in the place of the one in use, in one step."""


@contextmanager
def opened_for_rebuild(settings: Settings) -> Iterator[Rebuild]:
    """The log, and an empty projection that goes away if it does not replace the one in use.

    Raises NoLogError, or another StoreError.
    """
    if settings.postgres_url is not None:
        from app.store.postgres.work import opened_for_rebuild  # noqa: PLC0415 - needs the extra

        with opened_for_rebuild(settings.postgres_url) as rebuild:
            yield Rebuild(*rebuild)
        return
    if not settings.log_path.exists():
        raise NoLogError(
            f"there is no log at {settings.log_path}; COLLECTOR_DATA_DIR says where it is"
        )
    log = SqliteLogReader(settings.log_path)
    with tempfile.TemporaryDirectory(
        prefix="rebuild-", dir=settings.projection_path.parent, ignore_cleanup_errors=True
    ) as folder:
        fresh = SqliteProjection(Path(folder) / "projection.db")

        def replace() -> None:
            old = SqliteProjection(settings.projection_path)
            old.replace_with(fresh)
            old.close()

        yield Rebuild(log, fresh, replace)
        fresh.close()
    log.close()
