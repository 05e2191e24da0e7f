"""Which callbacks are known: the newest keys in memory, the others in a table.

Keys are random. Put into a tree one batch at a time, each would rewrite a page of its
own, several times the size of the callback itself. So they gather in memory, and go
into the table some thousands at a time, sorted, so that a page is written once for many.
Nothing depends on it for durability: a frame of the log carries its keys, and at a start
those that are not in the table yet are read from there.
"""

from collections.abc import Iterable, Sequence

import orjson

from app.store.sqlite.driver import Connection, rolled_back

GATHERED_MAX = 20_000
PORTION = 2_000
"""Keys to one write: some milliseconds, for which a commit may have to wait."""

Keys = dict[int, dict[str, int]]
"""The seq of each callback key, by run number."""


class KeyIndex:
    """Finds the seq of a callback by its run and key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._gathered: Keys = {}
        self._count = 0
        self._moving: Keys = {}
        self._queue: list[tuple[int, str, int]] = []

    def indexed_before(self) -> int:
        """The seq before which every key is in the table."""
        row = self._connection.execute("SELECT before_seq FROM keys_progress").fetchone()
        return int(row[0])

    def find(self, run_no: int, keys: Sequence[str]) -> dict[str, int]:
        """The seqs of those of `keys` that are known."""
        found: dict[str, int] = {}
        for recent in (self._gathered.get(run_no), self._moving.get(run_no)):
            if recent:
                for key in keys:
                    if key in recent:
                        found[key] = recent[key]
        left = [key for key in keys if key not in found] if found else keys
        if left:
            found.update(
                self._connection.execute(
                    "SELECT callback_key, seq FROM json_each(?2) CROSS JOIN callback_keys"
                    " ON run_no = ?1 AND callback_key = value",
                    (run_no, orjson.dumps(left).decode()),
                ).fetchall()
            )
        return found

    def add(self, keys: Iterable[tuple[int, str, int]]) -> None:
        """Know callbacks whose frames are durable: (run_no, key, seq) each."""
        for run_no, key, seq in keys:
            self._gathered.setdefault(run_no, {})[key] = seq
            self._count += 1

    def forget(self, run_no: int, before_seq: int) -> None:
        """Know a run's callbacks before `before_seq` no more, as far as they are in memory."""
        for recent in (self._gathered, self._moving):
            keys = recent.get(run_no)
            if keys:
                recent[run_no] = {key: seq for key, seq in keys.items() if seq >= before_seq}
        self._queue = [one for one in self._queue if one[0] != run_no or one[2] >= before_seq]

    @property
    def is_due(self) -> bool:
        """Whether there is a portion to be moved into the table."""
        return bool(self._queue) or self._count >= GATHERED_MAX

    def move_portion(self) -> None:
        """Move a portion of gathered keys into the table."""
        if not self._queue and not self._moving:
            self._moving, self._gathered, self._count = self._gathered, {}, 0
            self._queue = sorted(
                (run_no, key, seq)
                for run_no, keys in self._moving.items()
                for key, seq in keys.items()
            )
        portion, rest = self._queue[:PORTION], self._queue[PORTION:]
        execute = self._connection.execute
        # No fsync of its own: whatever is synced later brings this with it, in order.
        execute("PRAGMA synchronous = NORMAL")
        try:
            execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT OR IGNORE INTO callback_keys (run_no, callback_key, seq) VALUES (?, ?, ?)",
                portion,
            )
            if not rest:
                newest = max(
                    (seq for keys in self._moving.values() for seq in keys.values()),
                    default=self.indexed_before() - 1,
                )
                execute("UPDATE keys_progress SET before_seq = ?", (newest + 1,))
            execute("COMMIT")
        except BaseException:
            rolled_back(self._connection)
            raise
        finally:
            execute("PRAGMA synchronous = FULL")
        self._queue = rest
        if not rest:
            self._moving = {}

    def move_all(self) -> None:
        """Move everything that was gathered, as at a clean end."""
        while self._queue or self._count:
            self.move_portion()
