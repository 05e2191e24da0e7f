"""Reading the log: in order of arrival, or one callback by its place."""

from pathlib import Path

import zstandard

from app.model import Logged
from app.store.sqlite import segments
from app.store.sqlite.driver import connect_reader


class SqliteLogReader:
    """Reads the log's file from another process or thread than the one that writes it."""

    def __init__(self, path: Path) -> None:
        self._connection = connect_reader(path, cache_kib=4_096)
        self._decompressor = zstandard.ZstdDecompressor()

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def next_seq(self) -> int:
        """The seq that the next callback will have."""
        row = self._connection.execute(
            "SELECT first_seq + callbacks FROM segments ORDER BY first_seq DESC LIMIT 1"
        ).fetchone()
        return int(row[0]) if row else 1

    def read(self, from_seq: int, *, callbacks_max: int, bytes_max: int) -> list[Logged]:
        """Callbacks from `from_seq` on, in order; about `callbacks_max`, or `bytes_max` of bodies.

        At least one if there is one.
        """
        found: list[Logged] = []
        size = 0
        cursor = self._connection.execute(
            "SELECT first_seq, run_no, frame FROM segments WHERE first_seq >="
            " coalesce((SELECT max(first_seq) FROM segments WHERE first_seq <= ?1), ?1)"
            " ORDER BY first_seq",
            (from_seq,),
        )
        for first_seq, run_no, frame in cursor:
            logged = segments.unpack(frame, first_seq, run_no, self._decompressor)
            found.extend(one for one in logged if one.seq >= from_seq)
            size += sum(len(one.body) for one in logged)
            if len(found) >= callbacks_max or size >= bytes_max:
                break
        cursor.close()
        return found

    def callback(self, seq: int) -> Logged:
        """One callback. Raises LookupError if the log has none at `seq`."""
        row = self._connection.execute(
            "SELECT first_seq, run_no, frame FROM segments WHERE first_seq <= ?"
            " ORDER BY first_seq DESC LIMIT 1",
            (seq,),
        ).fetchone()
        if row is not None:
            first_seq, run_no, frame = row
            for logged in segments.unpack(frame, first_seq, run_no, self._decompressor):
                if logged.seq == seq:
                    return logged
        raise LookupError(f"the log has no callback {seq}")

    def run_uid(self, run_no: int) -> str:
        """The uid of a run by its number. Raises LookupError if there is none."""
        row = self._connection.execute(
            "SELECT run_uid FROM runs WHERE run_no = ?", (run_no,)
        ).fetchone()
        if row is None:
            raise LookupError(f"the log has no run number {run_no}")
        return str(row[0])
