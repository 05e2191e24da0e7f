"""What new callbacks change in a run: pure decisions, independent of order.

Whatever order callbacks come in, however they are split into batches, the rows end up
the same. Two rules carry this. Of several bodies under one id, the one of highest rank
wins. Of several callbacks with the same content under different ids (an original and
its replays), the one with the smallest id counts. Both are minima over a set.
"""

from typing import Protocol

from app.model import TERMINAL_STATUSES
from app.project.catalogue import Catalogue
from app.project.inputs import Inputs
from app.project.reading import Reading
from app.store.rows import NO_INPUT, CallbackRow, Changes, InputRow, Known


class Earlier(Protocol):
    """What the merge asks for in the rare cases that touch more than the new callbacks."""

    def family(self, first_seq: int) -> list[CallbackRow]:
        """The stored callback `first_seq` and those that conflict with it."""

    def with_content(self, input_no: int, content: bytes) -> list[CallbackRow]:
        """The stored callbacks of an input with this content."""

    def input(self, input_no: int) -> InputRow:
        """A stored input."""

    def reading(self, seq: int) -> Reading:
        """The reading of a logged callback."""


class Merge:
    """Takes readings of one run, in any order, and gathers what they change."""

    def __init__(self, known: Known, earlier: Earlier, catalogue: Catalogue) -> None:
        """The `catalogue` hears of the fields of inputs; those of results it knows by reading."""
        self.changes = Changes(known.run)
        self.inputs = Inputs(known, self.changes, catalogue)
        self.has_taken_back = False
        """Whether results that counted before do not any more."""
        self._earlier = earlier
        self._rows: dict[int, CallbackRow] = {}
        self._new: set[int] = set()
        self._uncounted: set[int] = set()
        self._by_content: dict[bytes, list[CallbackRow]] = {}
        for content, rows in known.by_content.items():
            self._by_content[content] = [self._interned(row) for row in rows]

    def add(self, reading: Reading) -> None:
        """Take one more callback."""
        logged = reading.logged
        row = CallbackRow(
            logged.seq,
            logged.key,
            self.inputs.show(reading).input_no if reading.input_key != NO_INPUT else 0,
            reading.batch_uid,
            reading.status,
            reading.content,
            len(reading.digests),
            logged.received_ms,
            len(logged.body),
            conflicts_with=logged.conflicts_with,
            note=reading.note,
            digests=b"".join(reading.digests),
        )
        self._rows[row.seq] = row
        self._new.add(row.seq)
        self._uncounted.add(row.seq)
        self.changes.new_callbacks.append(row)
        if self.changes.run.told is not None:
            self.changes.run.told.note_arrival(row.key)
        self._see_run(reading, row)
        if row.content is not None:
            self._by_content.setdefault(row.content, []).append(row)
        if row.conflicts_with is not None:
            self._elect(row, row.conflicts_with)
        elif row.content is not None:
            self._count(row.content)

    def _see_run(self, reading: Reading, row: CallbackRow) -> None:
        run = self.changes.run
        if row.conflicts_with is None:
            run.callbacks += 1
        else:
            run.conflicts += 1
        if reading.status is not None:
            run.statuses.add(reading.status)
            if reading.status in TERMINAL_STATUSES:
                run.finished_ms = min(run.finished_ms or row.received_ms, row.received_ms)
                run.terminal_ms = max(run.terminal_ms, row.received_ms)
        run.action_name = lesser(run.action_name, reading.action_name)
        run.execution_mode = lesser(run.execution_mode, reading.execution_mode)
        run.scheduled_run_uid = lesser(run.scheduled_run_uid, reading.scheduled_run_uid)
        if row.received_ms < run.first_received_ms or not run.first_received_ms:
            run.first_received_ms = row.received_ms
        run.last_received_ms = max(run.last_received_ms, row.received_ms)

    # -------------------------------------------------------- whose results count

    def _elect(self, row: CallbackRow, first_seq: int) -> None:
        """Of all bodies under one id, let the one of highest rank win."""
        stored = [self._interned(one) for one in self._earlier.family(first_seq)]
        family = {one.seq: one for one in stored}
        for one in self.changes.new_callbacks:
            if first_seq in (one.seq, one.conflicts_with):
                family[one.seq] = one
        winner = max(family.values(), key=lambda one: self._earlier.reading(one.seq).rank)
        for one in family.values():
            one.is_winner = one is winner
            if one is not winner:
                self._lose(one, winner.seq)
            if one is not row:
                self._changed(one)
        for one in family.values():
            if one.content is not None:
                self._load(one.input_no, one.content)
                self._count(one.content)

    def _load(self, input_no: int, content: bytes) -> None:
        """Know every callback with this content: the stored ones, and the new ones."""
        rows = {row.seq: row for row in self._by_content.get(content, ())}
        stored = map(self._interned, self._earlier.with_content(input_no, content))
        for row in (*stored, *self.changes.new_callbacks):
            if row.content == content:
                rows[row.seq] = row
        self._by_content[content] = list(rows.values())

    def _count(self, content: bytes) -> None:
        """Of all winners with this content, let the one with the smallest id count."""
        rows = self._by_content[content]
        if len(rows) == 1 and rows[0].is_winner:  # mostly there is no replay
            self._win(rows[0])
            return
        counted = min((row for row in rows if row.is_winner), key=lambda row: row.key, default=None)
        for row in rows:
            if row is counted:
                self._win(row)
            elif counted is not None:
                self._lose(row, counted.seq)

    def _win(self, row: CallbackRow) -> None:
        if row.seq in self._uncounted:
            self._uncounted.discard(row.seq)
            row.lost_to = None
            self._credit(row, row.results)

    def _lose(self, row: CallbackRow, to: int) -> None:
        if row.lost_to is None:
            row.lost_to = to
        if row.results and row.seq not in self._uncounted:
            self._uncounted.add(row.seq)
            self.has_taken_back = True
            self._credit(row, -row.results)

    def _credit(self, row: CallbackRow, results: int) -> None:
        run = self.changes.run
        run.results += results
        if run.told is not None and row.key in run.told.replays:
            run.told.replayed += results
        if row.input_no:
            known = self.inputs.numbered(row.input_no)
            if known is None:  # the input of an earlier callback that no longer counts
                known = self.inputs.remember(self._earlier.input(row.input_no))
            known.results += results
            self.changes.inputs[row.input_no] = known
        self._changed(row)

    def _changed(self, row: CallbackRow) -> None:
        if row.seq not in self._new:
            self.changes.changed_callbacks[row.seq] = row

    def _interned(self, row: CallbackRow) -> CallbackRow:
        """The one object for a stored callback, however often it is loaded."""
        if row.seq not in self._rows:
            self._rows[row.seq] = row
            if row.lost_to is not None:
                self._uncounted.add(row.seq)
        return self._rows[row.seq]


def lesser(known: str | None, told: str | None) -> str | None:
    """Of what callbacks told, the least: any choice would do that arrival does not decide."""
    return known if told is None or (known is not None and known <= told) else told
