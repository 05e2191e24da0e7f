"""Reading the log of one run, in order of arrival, or one callback by its place."""

import zstandard

from app.model import Logged, RunId
from app.store import segments
from app.store.postgres.driver import BlockingConnection, Row
from app.store.rows import Claim, Portion

_SEGMENTS_AT_ONCE = 32


class PostgresLogReader:
    """Reads the log for a worker."""

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self._decompressor = zstandard.ZstdDecompressor()

    def size(self) -> int:
        """How many callbacks the log holds, and repeats among them that left a gap."""
        rows = self._connection.fetch("SELECT coalesce(sum(next_seq - 1), 0)::bigint FROM log_runs")
        return int(rows[0][0])

    def duplicates(self, run: RunId) -> int:
        """How many repeats of a run's callbacks came."""
        rows = self._connection.fetch("SELECT duplicates FROM log_runs WHERE run_uid = $1", run.uid)
        return int(rows[0][0]) if rows else 0

    def read(self, claim: Claim, *, callbacks_max: int, bytes_max: int) -> Portion:
        """The first callbacks of a claim, in order; at least one if there is one.

        About `callbacks_max`, or `bytes_max` of bodies. Raises ValueError if the claim is not
        of one run.
        """
        if claim.run is None or claim.before_seq is None:
            raise ValueError(f"a claim of one run is needed, not {claim}")
        found: list[Logged] = []
        size, next_seq = 0, claim.from_seq
        while len(found) < callbacks_max and size < bytes_max:
            rows = self._connection.fetch(
                "SELECT first_seq, callbacks, repeats, frame FROM segments WHERE run_uid = $1"
                " AND first_seq >= coalesce((SELECT max(first_seq) FROM segments"
                " WHERE run_uid = $1 AND first_seq <= $2), $2)"
                " AND first_seq < $3 ORDER BY first_seq LIMIT $4",
                claim.run.uid, next_seq, claim.before_seq, _SEGMENTS_AT_ONCE,
            )  # fmt: skip
            for row in rows:
                logged = self._unpacked(claim.run, row)
                found.extend(one for one in logged if one.seq >= next_seq)
                size += sum(len(one.body) for one in logged)
                next_seq = max(next_seq, row["first_seq"] + row["callbacks"])
                if len(found) >= callbacks_max or size >= bytes_max:
                    break
            else:
                if len(rows) < _SEGMENTS_AT_ONCE:
                    return Portion(found, claim.before_seq)
        return Portion(found, next_seq)

    def callback(self, run: RunId, seq: int) -> Logged:
        """One callback. Raises LookupError if the log has none of this run at `seq`."""
        rows = self._connection.fetch(
            "SELECT first_seq, callbacks, repeats, frame FROM segments"
            " WHERE run_uid = $1 AND first_seq <= $2 ORDER BY first_seq DESC LIMIT 1",
            run.uid,
            seq,
        )
        for row in rows:
            for logged in self._unpacked(run, row):
                if logged.seq == seq:
                    return logged
        raise LookupError(f"the log has no callback {seq} of run {run.uid}")

    def _unpacked(self, run: RunId, row: Row) -> list[Logged]:
        first_seq, _, repeats, frame = row
        return [
            segments.logged_from(entry, run, first_seq + place)
            for place, entry in enumerate(segments.unpack(frame, self._decompressor))
            if place not in repeats
        ]
