"""One door to SQLite: the newer library where it has wheels, the standard one elsewhere.

`pysqlite3` carries a SQLite without the WAL-reset bug of 3.7.0 to 3.51.2, which can
corrupt a database when two connections write or checkpoint at once. The collector
writes and checkpoints each file through one connection, so that it is safe with both.
"""

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlite3 import Connection as Connection  # noqa: PLC0414 - exported

    driver: Any = sqlite3
else:
    try:
        import pysqlite3.dbapi2 as driver
    except ImportError:
        driver = sqlite3
    Connection = driver.Connection

Error: type[Exception] = driver.Error
OperationalError: type[Exception] = driver.OperationalError
SQLITE_VERSION: str = driver.sqlite_version

# Of these types the driver would first ask, for every single value, whether somebody else
# can adapt it: a microsecond each, most of what writing a row takes.
driver.register_adapter(bytes, bytes)
driver.register_adapter(bool, int)
driver.register_adapter(type(None), lambda none: none)

BUSY_TIMEOUT_S = 2.0
"""How long a statement waits for a lock that another process holds."""

OPENING_TIMEOUT_S = 30.0
"""Likewise for opening a file: the worker of a server that was killed may be at it for a while."""


def connect_writer(
    path: Path, *, cache_kib: int = 16_384, synchronous: str = "FULL", is_alone: bool = False
) -> Connection:
    """The one connection that writes `path`: WAL, and every commit fsync'ed.

    With `synchronous="NORMAL"` a power cut may undo the last commits, in order: enough for
    what is derived, and carries its progress with it.

    With `is_alone` no other process may read or write the file while this one has it open;
    raises OperationalError if one does.

    It checkpoints only when its owner says so. Usable from any one thread at a time.
    """
    connection = _connect(path, f"file:{_quoted(path)}?mode=rwc")
    if is_alone:  # before the file is touched: then it is locked for good at the first touch
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    else:
        connection.execute(f"PRAGMA busy_timeout = {int(OPENING_TIMEOUT_S * 1000)}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def connect_reader(path: Path, *, cache_kib: int = 8_192) -> Connection:
    """A connection that only reads `path`. Raises OperationalError if the file is missing."""
    connection = _connect(path, f"file:{_quoted(path)}?mode=rw")
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def connect_inspector(path: Path) -> Connection:
    """A connection that only looks: it changes nothing, and checkpoints nothing at its end.

    It makes no file either, but for the scratch file of a write-ahead log that somebody left
    without one. Raises OperationalError if `path` is missing.
    """
    # Where there is no write-ahead log, only an immutable file is read without making one.
    mode = "mode=ro" if wal_bytes(path) else "mode=ro&immutable=1"
    return _connect(path, f"file:{_quoted(path)}?{mode}")


def _connect(path: Path, uri: str) -> Connection:
    connection: Connection = driver.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    return connection


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def rolled_back(connection: Connection) -> None:
    """End a transaction that failed. SQLite may have ended it by itself already."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def wal_bytes(path: Path) -> int:
    """Size of the write-ahead log beside `path`, 0 if there is none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0


def is_pysqlite3() -> bool:
    """Whether the SQLite in use is the one that `pysqlite3` carries."""
    return "pysqlite3" in sys.modules and driver is not sqlite3
