"""SQLite as the service holds it: a thread that writes the log, connections that read."""

import asyncio
import fcntl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time_ns
from typing import IO, Any

from app.model import Arrival, Outcome, Quarantined
from app.store.erasures import without_erased
from app.store.protocol import Marks, StoreUnavailableError
from app.store.rows import ScheduleRow
from app.store.sqlite import schedules
from app.store.sqlite.api_keys import SqliteApiKeys
from app.store.sqlite.driver import SQLITE_VERSION, Connection, Error, wal_bytes
from app.store.sqlite.erasures import SqliteErasures
from app.store.sqlite.export_jobs import SqliteExportJobs
from app.store.sqlite.log import SqliteLogWriter
from app.store.sqlite.outbox import SqliteOutbox
from app.store.sqlite.projection import SqliteProjection
from app.store.sqlite.reader import SqliteReader
from app.store.sqlite.thread import StoreThread


class SqliteStore:
    """Three files: the log and the outbox, which this process alone writes, and what is derived."""

    description = f"SQLite {SQLITE_VERSION}"

    def __init__(
        self, log_path: Path, projection_path: Path, outbox_path: Path, *, checkpoint_bytes: int
    ) -> None:
        """`checkpoint_bytes`: size of the log's write-ahead file at which it is checkpointed."""
        self.reader = SqliteReader(log_path, projection_path, outbox_path)
        self._log_path = log_path
        self._projection_path = projection_path
        self._outbox_path = outbox_path
        self.outbox = SqliteOutbox(
            outbox_path, log_path, projection_path, forget=self._forget_raised
        )
        self.exports = SqliteExportJobs(self._transact)
        self.api_keys = SqliteApiKeys(self._transact, self.reader)
        self._checkpoint_bytes = checkpoint_bytes
        self._thread = StoreThread("log-writer")
        self.erasures = SqliteErasures(log_path, self.reader, self.outbox, self._thread)
        self._writer: SqliteLogWriter
        self._lock: IO[bytes]

    async def open(self) -> None:
        """Make or migrate both files."""
        try:
            self._writer = await self._thread.run(self._open)
            await self.outbox.open(self._writer.next_seq)
            await self.reader.open()
            await self.exports.open()
            await self.erasures.open(self._writer)
        except Error as error:
            raise StoreUnavailableError(
                f"{self._log_path} or {self._projection_path.name} beside it cannot be opened:"
                f" {error}"
            ) from error

    def _open(self) -> SqliteLogWriter:
        self._lock = held_lock(self._log_path)
        writer = SqliteLogWriter(self._log_path, checkpoint_bytes=self._checkpoint_bytes)
        SqliteProjection(self._projection_path, self._outbox_path).close()
        return writer

    async def close(self) -> None:
        """Put the files in order."""
        await self.reader.close()
        await self.outbox.close()
        await self._thread.close(self._writer.close)
        self._lock.close()

    async def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """One transaction, one fsync."""
        return await self._thread.run(self._writer.append, arrivals)

    async def after_commit(self) -> None:
        """Move keys, or checkpoint, where it is due."""
        if self._writer.is_upkeep_due():
            await self._thread.run(self._writer.keep_up)

    async def quarantine(self, item: Quarantined) -> str:
        """One statement, one fsync."""
        return await self._thread.run(self._writer.quarantine, item)

    async def release(self, quarantine_id: str) -> bool:
        """Drop an entry of the quarantine."""
        return await self._thread.run(self._writer.release, quarantine_id)

    async def seqs(self, run_uid: str, key: str) -> list[int]:
        """The writer's to say: the newest keys are in its memory."""
        return await self._thread.run(self._writer.seqs, run_uid, key)

    async def mark(self) -> Marks:
        """How far the log is projected, since its numbers are those of all runs."""
        return Marks(0, await self.reader.projected())

    async def sizes(self) -> Mapping[str, int]:
        """The files, each with its write-ahead log."""
        files = {
            "log": self._log_path,
            "projection": self._projection_path,
            "outbox": self._outbox_path,
        }
        return await asyncio.to_thread(
            lambda: {name: path.stat().st_size + wal_bytes(path) for name, path in files.items()}
        )

    async def _transact(self, change: Callable[[Connection], Any]) -> Any:
        return await self._thread.run(self._writer.transact, change)

    async def _forget_raised(self, numbers: Sequence[int]) -> None:
        await self._thread.run(
            self._writer.transact,
            lambda connection: connection.executemany(
                "DELETE FROM raised_events WHERE raised_no = ?", [(one,) for one in numbers]
            ),
        )

    async def save_schedules(self, rows: Sequence[ScheduleRow]) -> list[str]:
        """One transaction."""
        kept = [without_erased(self.erasures.tombstones.eraser, row) for row in rows]
        return await self._thread.run(
            self._writer.transact, lambda connection: schedules.save(connection, kept)
        )

    async def judge_schedule(
        self, uid: str, missed: Sequence[int], *, from_ms: int, judged_ms: int, now_ms: int
    ) -> bool:
        """One transaction."""
        return await self._thread.run(
            self._writer.transact,
            lambda connection: schedules.judge(
                connection, uid, missed, from_ms=from_ms, judged_ms=judged_ms, now_ms=now_ms
            ),
        )

    async def take_turn(self, name: str, every_s: float) -> bool:
        """By the clock of this machine; turns outlast a restart."""
        every_ms, now_ms = round(every_s * 1000), time_ns() // 1_000_000
        return await self._thread.run(
            self._writer.transact,
            lambda connection: schedules.take_turn(connection, name, every_ms, now_ms),
        )


def held_lock(log_path: Path) -> IO[bytes]:
    """The lock of whoever writes this log, for as long as the file is open.

    What the writer keeps in memory of the log must be all of it. Raises
    StoreUnavailableError if somebody else has it.
    """
    path = log_path.with_name(f"{log_path.name}.lock")
    lock = path.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StoreUnavailableError(
            f"another collector has {log_path} open: stop it, or use PostgreSQL for several"
        ) from error
    return lock
