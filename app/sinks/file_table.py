"""What tables of databases in files share: one thread that has the file open, and the layout."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from app.sinks.location import Location, SinkError
from app.sinks.table import COLUMNS_SUFFIX, RUNS_SUFFIX, Dialect, Layout, quoted, read_field
from app.store.sqlite.thread import StoreThread
from app.store.views import Fields

T = TypeVar("T")


class FileTable(ABC):
    """A table of a file; what begins with `_` runs on its thread, but for `_run`."""

    _connection: Any
    _layout: Layout

    def __init__(self, location: Location, dialect: Dialect, error: type[Exception]) -> None:
        """`error` is what the driver raises."""
        self._location = location
        self._dialect = dialect
        self._error = error
        self._thread: StoreThread | None = None
        self._table = location.table[0]

    async def open(self) -> None:
        """Open or make the file, and make the tables where they are missing."""
        self._thread = StoreThread(f"{self._dialect.name.lower()}-sink")
        await self._run(self._open)

    def _open(self) -> None:
        path = self._location.path
        if not path.parent.is_dir():
            raise SinkError(f"{self._location.shown}: there is no folder {path.parent}")
        self._connection = self._connected(path)
        with self._transaction():
            self._make()
            self._layout = self._read_layout()

    async def close(self) -> None:
        """Close the file, with all in it that was written beside it."""
        if self._thread is not None:
            await self._thread.close(lambda: None)
            if hasattr(self, "_connection"):
                self._connection.close()

    async def version(self, run_uid: str) -> str | None:
        """As its `__runs` has it."""
        rows = await self._run(
            self._rows, f"SELECT version FROM {self._sql(RUNS_SUFFIX)} WHERE run_uid = ?", run_uid
        )
        return rows[0][0] or None if rows else None

    async def prepare(self, fields: Fields) -> list[str]:
        """Columns are added; those whose values outgrew their type are altered."""
        return await self._run(self._prepare, fields)

    @abstractmethod
    def _connected(self, path: Path) -> Any:
        """A connection to the file."""

    @abstractmethod
    def _make(self) -> None:
        """The tables, where they are missing; what is there and not ours is looked at."""

    @abstractmethod
    def _prepare(self, fields: Fields) -> list[str]:
        """Change the columns as these fields want; what users should hear of it."""

    @abstractmethod
    def _there(self, suffix: str = "") -> dict[str, str]:
        """The columns that a table has, with their types; none if it is not there."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""

    def _sql(self, suffix: str = "") -> str:
        return f"main.{quoted(self._table + suffix)}"

    def _rows(self, sql: str, *values: object) -> list[Any]:
        rows: list[Any] = self._connection.execute(sql, values).fetchall()
        return rows

    def _read_layout(self) -> Layout:
        known = self._rows(f"SELECT field, column_name, kinds FROM {self._sql(COLUMNS_SUFFIX)}")
        return Layout(
            self._dialect,
            self._table,
            [(read_field(name), column, kinds) for name, column, kinds in known],
            self._there(),
            is_adopted="is_adopted" in self._there(COLUMNS_SUFFIX),
        )

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        if self._thread is None:
            raise SinkError("the table is not open")
        try:
            return await self._thread.run(function, *arguments)
        except self._error as error:
            raise SinkError(f"{self._location.shown}: {error}") from error
