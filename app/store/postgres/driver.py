"""One door to PostgreSQL: how the collector connects, and what it takes for an outage."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

from app.store.protocol import SchemaError, StoreUnavailableError

try:
    import asyncpg
except ImportError as missing:  # the core does without
    raise StoreUnavailableError(
        "PostgreSQL needs the extra `postgres`: pip install 'edges-collector[postgres]'"
    ) from missing

CONNECT_TIMEOUT_S = 3.0
STATEMENT_TIMEOUT_S = 10.0
"""For what a sender or a user waits for."""

WORK_TIMEOUT_S = 120.0
"""For what a worker does: after it, there is nobody at the other end."""

VERSION_MIN = 13
CHANNEL = "edges_collector_log"
EVENTS_CHANNEL = "edges_collector_events"

OUTAGE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""What a statement may raise when the server cannot be reached, or refuses."""

# The driver is not typed.
Connection: TypeAlias = Any
Pool: TypeAlias = Any
Row: TypeAlias = Any

_SETTINGS = {
    "application_name": "edges-collector",
    "synchronous_commit": "on",
    "jit": "off",
    # A plan made for a table that was still empty would be kept, and be wrong soon.
    "plan_cache_mode": "force_custom_plan",
}


async def connect(
    url: str, settings: Mapping[str, str] | None = None, *, timeout_s: float | None = None
) -> Connection:
    """A connection of its own, with these server settings too. Raises one of `OUTAGE`.

    `timeout_s` bounds each statement, on both sides of the wire.
    """
    limits = {} if timeout_s is None else {"statement_timeout": str(int(timeout_s * 1000))}
    return await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=None if timeout_s is None else timeout_s + 1,
        server_settings={**_SETTINGS, **limits, **(settings or {})},
    )


class KeptConnection:
    """A connection for what is done one after another; replaced at the next use if it broke."""

    def __init__(
        self, url: str, settings: Mapping[str, str] | None = None, *, timeout_s: float
    ) -> None:
        """`settings` and `timeout_s` are those of `connect`."""
        self._url = url
        self._settings = settings
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        """Let go of it, once nobody uses it."""
        async with self._turn:
            if self._connection is not None and not self._connection.is_closed():
                await self._connection.close(timeout=STATEMENT_TIMEOUT_S)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Connection]:
        """The connection, and nobody else's meanwhile. Raises one of `OUTAGE`."""
        async with self._turn:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(
                        self._url, self._settings, timeout_s=self._timeout_s
                    )
                yield self._connection
            except (TimeoutError, asyncio.CancelledError):
                # There may be nobody at the other end, or an answer that nobody waits for.
                if self._connection is not None:
                    self._connection.terminate()
                raise


async def connection_pool(url: str, size: int) -> Pool:
    """Connections that are shared by readers. Raises one of `OUTAGE`."""
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_S * 6,
        server_settings={**_SETTINGS, "default_transaction_read_only": "on"},
        reset=_nothing_to_reset,
    )


async def _nothing_to_reset(connection: Connection) -> None:
    """Readers change no state of their connection, so that a round trip can be saved."""
    del connection


async def check_server(connection: Connection) -> str:
    """The server's version. Raises SchemaError if this is no server for a collector."""
    row = await connection.fetchrow(
        "SELECT current_setting('server_version') AS version,"
        " current_setting('server_version_num')::int / 10000 AS major,"
        " pg_is_in_recovery() AS is_standby,"
        " current_setting('transaction_read_only') = 'on' AS is_read_only,"
        " current_setting('server_encoding') AS encoding"
    )
    if row["is_standby"]:
        raise SchemaError(
            "this PostgreSQL is a standby, which can only be read: give the address of the primary"
        )
    if row["is_read_only"]:
        raise SchemaError(
            "this PostgreSQL connection is read-only (default_transaction_read_only): use a role"
            " and a server that may write"
        )
    if row["major"] < VERSION_MIN:
        raise SchemaError(f"PostgreSQL {row['version']} is too old: {VERSION_MIN} is needed")
    if row["encoding"] != "UTF8":
        raise SchemaError(
            f"the database is encoded in {row['encoding']}: create one with ENCODING 'UTF8'"
        )
    return str(row["version"])


@contextmanager
def outages() -> Iterator[None]:
    """Turn what the driver raises into StoreUnavailableError."""
    try:
        yield
    except OUTAGE as error:
        raise StoreUnavailableError(f"PostgreSQL cannot answer: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """What happened, also for errors that have no text."""
    return str(error) or type(error).__name__


class BlockingConnection:
    """A connection for a process that does one thing after another: the worker.

    It runs an event loop of its own for as long as each call takes. A connection that
    broke is replaced at the next call.
    """

    def __init__(self, url: str, settings: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._settings = settings
        self._runner = asyncio.Runner()
        self._connection: Connection | None = None
        self._may_reconnect = True

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None and not self._connection.is_closed():
            self._connection.terminate()
        self._runner.close()

    def fetch(self, sql: str, *values: object) -> Sequence[Row]:
        """The rows of a statement. Raises StoreUnavailableError, as all calls do."""
        rows: Sequence[Row] = self._call("fetch", sql, *values)
        return rows

    def execute(self, sql: str, *values: object) -> str:
        """Run a statement; its status, such as `UPDATE 1`."""
        return str(self._call("execute", sql, *values))

    def copy(self, table: str, columns: str, records: Sequence[tuple[Any, ...]]) -> None:
        """Insert `records` into `table`; `columns` names theirs, separated by commas."""
        if records:
            names = [name.strip() for name in columns.split(",")]
            self._call("copy_records_to_table", table, records=records, columns=names)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements within take effect together, or none."""
        self.execute("BEGIN")
        self._may_reconnect = False  # what follows on another connection would be on its own
        try:
            yield
        except BaseException:
            if self._connection is not None and not self._connection.is_closed():
                self.execute("ROLLBACK")
            raise
        else:
            self.execute("COMMIT")
        finally:
            self._may_reconnect = True

    def _call(self, method: str, *values: object, **options: object) -> Any:
        with outages():
            return self._runner.run(self._called(method, values, options))

    async def _called(
        self, method: str, values: tuple[object, ...], options: dict[str, object]
    ) -> Any:
        if self._connection is None or self._connection.is_closed():
            if not self._may_reconnect:
                raise asyncpg.InterfaceError("the connection was lost within a transaction")
            self._connection = await connect(self._url, self._settings, timeout_s=WORK_TIMEOUT_S)
        try:
            return await getattr(self._connection, method)(*values, **options)
        except TimeoutError:
            self._connection.terminate()
            raise
