"""Everything that is read of a store, for the API and the exports."""

from abc import abstractmethod
from collections.abc import Sequence

import zstandard

from app.store.outbox_reads import OutboxReads
from app.store.result_reads import ResultReads
from app.store.run_reads import RunReads
from app.store.schedule_reads import ScheduleReads
from app.store.sink_reads import SinkReads
from app.store.summary_reads import SummaryReads
from app.store.views import CallbackView, Fields, Lag, QuarantineView

_QUARANTINE_COLUMNS = (
    "quarantine_id, received_ms, last_received_ms, times_seen, reason, detail, content_type,"
    " body_bytes"
)
_BEHIND_ALL = "~"
"""Sorts behind all ids of the quarantine."""
_BEHIND_ALL_SEQS = 2**63 - 1


class Reader(RunReads, ResultReads, SummaryReads, ScheduleReads, OutboxReads, SinkReads):
    """Reads for the API and the exports. Everything raises StoreUnavailableError."""

    @abstractmethod
    async def fields(self, run_uids: Sequence[str]) -> Fields:
        """The fields of these runs together, and the kinds of values that they have held."""

    @abstractmethod
    async def lag(self, now_ms: int) -> Lag:
        """How far the projection is behind, at the Unix time `now_ms`."""

    # --------------------------------------------------------------- callbacks

    async def callbacks(
        self, run_uid: str, *, after_seq: int | None, limit: int, newest_first: bool = False
    ) -> list[CallbackView]:
        """The log of a run behind a seq (None for the start), in order of arrival or back."""
        order = "seq > ? ORDER BY seq"
        after = -1 if after_seq is None else after_seq
        if newest_first:
            order = "seq < ? ORDER BY seq DESC"
            after = _BEHIND_ALL_SEQS if after_seq is None else after_seq
        rows = await self._rows(
            "SELECT seq, callback_key, batch_uid, status, results, is_winner, lost_to,"
            " conflicts_with, received_ms, body_bytes, note FROM callbacks c"
            f" WHERE {self.run_is.format('c')} AND {order} LIMIT ?",
            run_uid,
            after,
            limit,
        )
        return [CallbackView(*row) for row in rows]

    async def raw(self, run_uid: str, seq: int) -> bytes:
        """The body of a callback exactly as received. Raises KeyError if the log has none there."""
        return (await self._bodies(run_uid, [seq]))[seq]

    async def people_erased(self) -> int:
        """How many people were erased: with each, results may be others than before."""
        rows = await self._rows(
            f"SELECT count(*) FROM {self.log_schema}erasures"
            " WHERE kind = 'person' AND finished_ms IS NOT NULL"
        )
        return int(rows[0][0])

    # -------------------------------------------------------------- quarantine

    async def quarantined(
        self, *, after: str, limit: int, newest_first: bool = False
    ) -> list[QuarantineView]:
        """Entries of the quarantine behind an id ("" for the start), by when they first came."""
        order = "quarantine_id > ? ORDER BY quarantine_id"
        if newest_first:
            order = "quarantine_id < ? ORDER BY quarantine_id DESC"
            after = after or _BEHIND_ALL
        rows = await self._rows(
            f"SELECT {_QUARANTINE_COLUMNS} FROM {self.log_schema}quarantine WHERE {order} LIMIT ?",
            after,
            limit,
        )
        return [QuarantineView(*row) for row in rows]

    async def quarantined_entry(self, quarantine_id: str) -> tuple[QuarantineView, bytes] | None:
        """An entry and its body, None if there is none by that id."""
        rows = await self._rows(
            f"SELECT {_QUARANTINE_COLUMNS}, frame FROM {self.log_schema}quarantine"
            " WHERE quarantine_id = ?",
            quarantine_id,
        )
        if not rows:
            return None
        *columns, frame = rows[0]
        return QuarantineView(*columns), zstandard.decompress(frame)

    async def quarantine_size(self) -> int:
        """How many entries the quarantine has."""
        rows = await self._rows(f"SELECT count(*) FROM {self.log_schema}quarantine")
        return int(rows[0][0])
