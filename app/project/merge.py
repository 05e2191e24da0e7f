"""What new callbacks change in a run: pure decisions, independent of order.

Whatever order callbacks come in, however they are split into batches, the rows end up
the same. Two rules carry this. Of several bodies under one id, the one of highest rank
wins. Of several callbacks with the same content under different ids (an original and
its replays), the one with the smallest id counts. Both are minima over a set.
"""

from typing import Protocol

from app.canonical import canonical
from app.fields import field_names, lookup_values
from app.model import TERMINAL_STATUSES, input_status
from app.project.reading import Reading
from app.store.rows import NO_INPUT, CallbackRow, Changes, InputRow, Known

_FAILED = frozenset({"FAILED", "BLOCKED", "STOPPED"})


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

    def __init__(self, known: Known, earlier: Earlier) -> None:
        self.changes = Changes(known.run)
        self._inputs = known.inputs
        self._inputs_by_no = {row.input_no: row for row in known.inputs.values()}
        self._earlier = earlier
        self._rows: dict[int, CallbackRow] = {}
        self._new: set[int] = set()
        self._uncounted: set[int] = set()
        self._shapes: set[tuple[str, tuple[str, ...]]] = set()
        self._by_content: dict[bytes, list[CallbackRow]] = {}
        for content, rows in known.by_content.items():
            self._by_content[content] = [self._interned(row) for row in rows]

    def add(self, reading: Reading) -> None:
        """Take one more callback."""
        logged = reading.logged
        row = CallbackRow(
            logged.seq,
            logged.key,
            self._see_input(reading) if reading.input_key != NO_INPUT else 0,
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
        self._see_run(reading, row)
        for names in reading.fields:
            self._see_fields("data", names)
        if row.content is not None:
            self._by_content.setdefault(row.content, []).append(row)
        if row.conflicts_with is not None:
            self._elect(row, row.conflicts_with)
        elif row.content is not None:
            self._count(row.content)

    # --------------------------------------------------------- run and input

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
        run.action_name = _lesser(run.action_name, reading.action_name)
        run.execution_mode = _lesser(run.execution_mode, reading.execution_mode)
        run.scheduled_run_uid = _lesser(run.scheduled_run_uid, reading.scheduled_run_uid)
        if row.received_ms < run.first_received_ms or not run.first_received_ms:
            run.first_received_ms = row.received_ms
        run.last_received_ms = max(run.last_received_ms, row.received_ms)

    def _see_fields(self, section: str, names: tuple[str, ...]) -> None:
        """Most results have the fields of those before them: look at each shape once."""
        if (section, names) not in self._shapes:
            self._shapes.add((section, names))
            self.changes.fields.update([(section, name) for name in names])

    def _see_input(self, reading: Reading) -> int:
        """Note what the reading says of its input; the input's number."""
        received_ms = reading.logged.received_ms
        known = self._inputs.get(reading.input_key)
        if known is None:
            known = self._new_input(reading)
        else:
            self._tally(known, -1)
        known.statuses.add(reading.input_status)
        if reading.error is not None and (
            known.error is None or canonical(reading.error) < canonical(known.error)
        ):
            known.error = reading.error
        known.first_received_ms = min(known.first_received_ms, received_ms)
        known.last_received_ms = max(known.last_received_ms, received_ms)
        self._tally(known, 1)
        self.changes.inputs[known.input_no] = known
        return known.input_no

    def _new_input(self, reading: Reading) -> InputRow:
        changes = self.changes
        changes.run.inputs += 1
        row = InputRow(
            changes.run.inputs,
            reading.input_key,
            reading.input_json.decode(),
            reading.custom_json.decode(),
            first_received_ms=reading.logged.received_ms,
        )
        self._inputs[row.input_key] = self._inputs_by_no[row.input_no] = row
        changes.new_inputs.add(row.input_no)
        changes.custom_values += [
            (path, value, row.input_no) for path, value in lookup_values(reading.custom_data)
        ]
        for section, value in (("input", reading.input), ("custom_data", reading.custom_data)):
            self._see_fields(section, _names(value))
        return row

    def _tally(self, known: InputRow, change: int) -> None:
        status = input_status(known.statuses)
        if status == "SUCCEEDED":
            self.changes.run.inputs_succeeded += change
        elif status in _FAILED:
            self.changes.run.inputs_failed += change

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
            self._credit(row, -row.results)

    def _credit(self, row: CallbackRow, results: int) -> None:
        self.changes.run.results += results
        if row.input_no:
            known = self._inputs_by_no.get(row.input_no)
            if known is None:  # the input of an earlier callback that no longer counts
                known = self._earlier.input(row.input_no)
                known = self._inputs.setdefault(known.input_key, known)
                self._inputs_by_no[row.input_no] = known
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


def _lesser(known: str | None, told: str | None) -> str | None:
    """Of what callbacks told, the least: any choice would do that arrival does not decide."""
    return known if told is None or (known is not None and known <= told) else told


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        return field_names(value)
    return () if value is None else ("value",)
