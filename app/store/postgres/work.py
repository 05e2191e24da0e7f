"""PostgreSQL as a worker holds it: one connection, and for a rebuild a schema of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

from app.store.migrations import steps
from app.store.postgres.driver import BlockingConnection
from app.store.postgres.log_reader import PostgresLogReader
from app.store.postgres.migrations import PACKAGE
from app.store.postgres.projection import DERIVED_TABLES, PostgresProjection
from app.store.postgres.rework import PostgresRework
from app.store.protocol import NoLogError

_PROJECTION_TABLES = ("projections", *DERIVED_TABLES)


@contextmanager
def opened(
    url: str, worker_name: str
) -> Iterator[tuple[PostgresLogReader, PostgresProjection, PostgresRework]]:
    """The log's reader, the projection and what is done for erasures, over one connection."""
    connection = BlockingConnection(url)
    try:
        projection = PostgresProjection(connection, worker_name)
        yield PostgresLogReader(connection), projection, PostgresRework(connection, projection)
    finally:
        connection.close()


@contextmanager
def opened_for_rebuild(
    url: str,
) -> Iterator[tuple[PostgresLogReader, PostgresProjection, Callable[[], None]]]:
    """The log's reader, an empty projection in a schema of its own, and what swaps it in.

    Raises NoLogError if there is no log in this database.
    """
    plain = BlockingConnection(url)
    try:
        ((home, log_exists),) = plain.fetch(
            "SELECT current_schema(), to_regclass('log_runs') IS NOT NULL"
        )
        if not log_exists:
            raise NoLogError(f"there is no log in schema {home} of this PostgreSQL database")
        erased_before = _erased(plain)
        schema = f"rebuild_{uuid4().hex[:12]}"
        plain.execute(f"CREATE SCHEMA {schema}")
        beside = BlockingConnection(url, {"search_path": f'{schema}, "{home}"'})
        try:
            for step in steps(PACKAGE, "projection_schema"):
                beside.execute(step.sql)

            def replace() -> None:
                _swap(plain, home, schema, erased_before)

            yield (
                PostgresLogReader(beside),
                PostgresProjection(beside, schema, is_rebuild=True),
                replace,
            )
        finally:
            beside.close()
            plain.execute(f"DROP SCHEMA {schema} CASCADE")
    finally:
        plain.close()


def _erased(connection: BlockingConnection) -> tuple[int, int]:
    """How many erasures there are, and how many of them are finished."""
    ((count, finished),) = connection.fetch("SELECT count(*), count(finished_ms) FROM erasures")
    return count, finished


def _swap(
    connection: BlockingConnection, home: str, schema: str, erased_before: tuple[int, int]
) -> None:
    """Let the projection in `schema` take the place of the one at home; the old one is left there.

    A worker that is at a run finds its lease gone, and what it derived is not committed.
    """
    old = f"{schema}_old"
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '60s'")
        connection.execute(f"CREATE SCHEMA {old}")
        for table in _PROJECTION_TABLES:
            connection.execute(f'ALTER TABLE "{home}".{table} SET SCHEMA {old}')
            connection.execute(f'ALTER TABLE {schema}.{table} SET SCHEMA "{home}"')
        # What live workers projected meanwhile, they projected into the old one.
        connection.execute(
            f'UPDATE "{home}".log_runs l SET is_dirty = true'
            f' FROM "{home}".log_runs k LEFT JOIN "{home}".projections p USING (run_uid)'
            " WHERE k.run_uid = l.run_uid AND k.next_seq > coalesce(p.next_seq, 1)"
        )
        # What was erased meanwhile may have been read before.
        for table in _PROJECTION_TABLES:
            connection.execute(
                f'DELETE FROM "{home}".{table} WHERE run_uid IN (SELECT run_uid'
                f" FROM \"{home}\".erasures WHERE kind <> 'person' AND NOT EXISTS"
                f' (SELECT FROM "{home}".log_runs l WHERE l.run_uid = erasures.run_uid))'
            )
        count, finished = _erased(connection)
        if count != finished or (count, finished) != erased_before:
            connection.execute(
                f'INSERT INTO "{home}".reworked (run_uid) SELECT run_uid FROM "{home}".runs'
                " ON CONFLICT DO NOTHING"
            )
        connection.execute(f"DROP SCHEMA {old} CASCADE")
