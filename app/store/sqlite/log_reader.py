"""Reading the log: in order of arrival, or one callback by its place."""

from pathlib import Path

import zstandard

from app.model import Logged, RunId
from app.store import segments
from app.store.rows import Claim, Portion
from app.store.sqlite.driver import connect_reader

_RUN_UIDS_MAX = 10_000
_NEVER = 1 << 62


class SqliteLogReader:
    """Reads the log's file from another process or thread than the one that writes it."""

    def __init__(self, path: Path) -> None:
        self._connection = connect_reader(path, cache_kib=4_096)
        self._decompressor = zstandard.ZstdDecompressor()
        self._run_uids: dict[int, str] = {}

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def size(self) -> int:
        """How many callbacks the log holds."""
        row = self._connection.execute(
            "SELECT first_seq + callbacks FROM segments ORDER BY first_seq DESC LIMIT 1"
        ).fetchone()
        return int(row[0]) - 1 if row else 0

    def duplicates(self, run: RunId) -> int:
        """How many repeats of a run's callbacks came."""
        row = self._connection.execute(
            "SELECT duplicates FROM runs WHERE run_no = ?", (run.no,)
        ).fetchone()
        return int(row[0]) if row else 0

    def read(self, claim: Claim, *, callbacks_max: int, bytes_max: int) -> Portion:
        """Callbacks of a claim, in order; about `callbacks_max`, or `bytes_max` of bodies.

        At least one if there is one.
        """
        found: list[Logged] = []
        size = 0
        before_seq = _NEVER if claim.before_seq is None else claim.before_seq
        if claim.run is None:
            cursor = self._connection.execute(
                "SELECT first_seq, run_no, frame FROM segments WHERE first_seq >="
                " coalesce((SELECT max(first_seq) FROM segments WHERE first_seq <= ?1), ?1)"
                " ORDER BY first_seq",
                (claim.from_seq,),
            )
        else:
            cursor = self._connection.execute(
                "SELECT first_seq, run_no, frame FROM segments INDEXED BY segments_by_run"
                " WHERE run_no = ?2 AND first_seq < ?3 AND first_seq >= coalesce((SELECT"
                " max(first_seq) FROM segments INDEXED BY segments_by_run"
                " WHERE run_no = ?2 AND first_seq <= ?1), ?1) ORDER BY first_seq",
                (claim.from_seq, claim.run.no, before_seq),
            )
        for first_seq, run_no, frame in cursor:
            logged = self._unpacked(first_seq, run_no, frame)
            found.extend(one for one in logged if claim.from_seq <= one.seq < before_seq)
            size += sum(len(one.body) for one in logged)
            if len(found) >= callbacks_max or size >= bytes_max:
                break
        cursor.close()
        return Portion(found, found[-1].seq + 1 if found else claim.from_seq)

    def has_any(self, run: RunId) -> bool:
        """Whether anything is logged of a run."""
        return bool(
            self._connection.execute(
                "SELECT 1 FROM segments INDEXED BY segments_by_run WHERE run_no = ? LIMIT 1",
                (run.no,),
            ).fetchall()
        )

    def reworked_after(self, rework_no: int) -> tuple[RunId, int] | None:
        """The next run whose bodies changed, and the number of that change; None if there is none.

        A run that changed again has the number of its last change alone.
        """
        row = self._connection.execute(
            "SELECT run_no, rework_no FROM reworked WHERE rework_no > ? ORDER BY rework_no LIMIT 1",
            (rework_no,),
        ).fetchone()
        return (RunId(row[0], self._run_uid(row[0])), row[1]) if row else None

    def last_rework(self) -> int:
        """The number of the last change of a run's bodies; 0 if there was none."""
        row = self._connection.execute("SELECT max(rework_no) FROM reworked").fetchone()
        return int(row[0] or 0)

    def scrub_wanted(self) -> int:
        """Up to which of these changes no trace of what was may stay in what is derived."""
        return int(self._connection.execute("SELECT scrub_no FROM log_state").fetchone()[0])

    def callback(self, run: RunId, seq: int) -> Logged:
        """One callback. Raises LookupError if the log has none of this run at `seq`."""
        row = self._connection.execute(
            "SELECT first_seq, run_no, frame FROM segments WHERE first_seq <= ?"
            " ORDER BY first_seq DESC LIMIT 1",
            (seq,),
        ).fetchone()
        for logged in self._unpacked(*row) if row else ():
            if (logged.seq, logged.run) == (seq, run):
                return logged
        raise LookupError(f"the log has no callback {seq} of run {run.uid}")

    def _unpacked(self, first_seq: int, run_no: int, frame: bytes) -> list[Logged]:
        run = RunId(run_no, self._run_uid(run_no))
        return [
            segments.logged_from(entry, run, seq)
            for seq, entry in enumerate(segments.unpack(frame, self._decompressor), first_seq)
        ]

    def _run_uid(self, run_no: int) -> str:
        if run_no not in self._run_uids:
            if len(self._run_uids) >= _RUN_UIDS_MAX:
                self._run_uids.clear()
            (self._run_uids[run_no],) = self._connection.execute(
                "SELECT run_uid FROM runs WHERE run_no = ?", (run_no,)
            ).fetchone()
        return self._run_uids[run_no]
