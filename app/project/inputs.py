"""The inputs of one run while a batch is merged: found by what names them, and counted.

A callback's input is known by what the callback carries: its input and its custom_data.
Edges' list of inputs gives each a uid, so that two inputs may be equal in both. Of such
twins the first in the list has the row that callbacks find; the others have their own.
A callback may name no input, only its custom_data: it belongs to the first input with it.
"""

from app.canonical import Json, canonical, digest, parse
from app.erased import input_key, shown
from app.fields import lookup_values
from app.model import ENDED_INPUT_STATUSES, FAILED_INPUT_STATUSES, input_status
from app.project.answers import InputTold
from app.project.catalogue import Catalogue
from app.project.reading import Reading
from app.store.rows import NO_INPUT, Changes, InputRow, Known
from app.told import ToldInput

_SPOKEN = ENDED_INPUT_STATUSES - {"STOPPED"}
"""Ends of an input of which a callback tells."""


def twin_key(key: bytes, uid: str) -> bytes:
    """The input key of an input that equals one before it in the list of inputs."""
    return digest(key + uid.encode())


class Inputs:
    """Inputs by key, and what changes of them."""

    def __init__(self, known: Known, changes: Changes, catalogue: Catalogue) -> None:
        self._changes = changes
        self._catalogue = catalogue
        self._by_key = known.inputs
        self._by_no = {row.input_no: row for row in known.inputs.values()}
        # One object for each row, also where it was found both by its key and by an alias.
        self._by_alias = {
            key: self._by_no.setdefault(row.input_no, row) for key, row in known.aliased.items()
        }

    def find(self, key: bytes) -> InputRow | None:
        """The row of a callback's input."""
        return self._by_key.get(key) or self._by_alias.get(key)

    def numbered(self, input_no: int) -> InputRow | None:
        """The row with this number, if it is known here."""
        return self._by_no.get(input_no)

    def remember(self, row: InputRow) -> InputRow:
        """Know a stored row; the one object for it."""
        row = self._by_key.setdefault(row.input_key, row)
        self._by_no[row.input_no] = row
        return row

    # ------------------------------------------------------------ by callbacks

    def show(self, reading: Reading) -> InputRow:
        """Note what a callback says of its input; the input's row."""
        received_ms = reading.logged.received_ms
        row = self.find(reading.input_key)
        if row is None:
            row = self._new(
                reading.input_key,
                reading.input,
                reading.custom_data,
                reading.input_json,
                reading.custom_json,
            )
        else:
            self._tally(row, -1)
        row.statuses.add(reading.input_status)
        if reading.error is not None and (
            row.error is None or canonical(reading.error) < canonical(row.error)
        ):
            row.error = reading.error
        row.first_received_ms = min(row.first_received_ms or received_ms, received_ms)
        row.last_received_ms = max(row.last_received_ms, received_ms)
        self._tally(row, 1)
        self._changes.inputs[row.input_no] = row
        return row

    # ------------------------------------------------------------ by Edges' list

    def tell(self, item: InputTold) -> None:
        """Note what Edges' list says of an input."""
        row = self._row_of(item)
        if row is None:
            row = self._new(
                item.key, item.input, item.custom_data, item.input_json, item.custom_json
            )
            row.alias_key = item.alias_key if item.alias_key not in (NO_INPUT, item.key) else None
            if row.alias_key is not None:
                self._by_alias.setdefault(row.alias_key, row)
        else:
            self._tally(row, -1)
        if row.told is None or _is_newer(item.told, row.told):
            row.told, row.input_uid = item.told, item.uid
        if row.input == "null" and item.input_json != b"null":
            row.input = item.input_json.decode()
            self._catalogue.see("input", item.input)
        self._tally(row, 1)
        self._changes.inputs[row.input_no] = row

    def _row_of(self, item: InputTold) -> InputRow | None:
        """The row that is to hold what was told; None if it is to be a new one under its key."""
        twin = self._by_key.get(twin_key(item.key, item.uid))
        if twin is not None:
            return twin
        exact = self._by_key.get(item.key)
        vague = self._by_key.get(item.alias_key) if item.alias_key != NO_INPUT else None
        for row in (exact, vague):
            if row is not None and row.input_uid in (None, item.uid):
                return row
        if exact is not None:
            return self._beside(exact, item)
        if vague is not None and (item.told.place, item.uid) < vague.listed_at:
            self._move(vague, input_key(vague.input.encode(), vague.custom_data.encode()))
            vague.input = "null"
            return vague
        return None

    def _beside(self, row: InputRow, item: InputTold) -> InputRow:
        """A row for a twin: whichever stands first in the list has the one callbacks find."""
        if (item.told.place, item.uid) < row.listed_at:
            self._move(row, twin_key(row.input_key, row.input_uid or ""))
            return row
        key = twin_key(item.key, item.uid)
        return self._new(key, item.input, item.custom_data, item.input_json, item.custom_json)

    def _move(self, row: InputRow, key: bytes) -> None:
        """Give what was told of a row to one of its own, `key`; what callbacks showed stays."""
        input_json, custom_json = row.input.encode(), row.custom_data.encode()
        self._tally(row, -1)
        moved = self._new(
            key, shown(parse(input_json)), shown(parse(custom_json)), input_json, custom_json
        )
        moved.told, moved.input_uid, row.told, row.input_uid = row.told, row.input_uid, None, None
        moved.failed_as, row.failed_as = row.failed_as, None
        self._tally(moved, 1)
        self._tally(row, 1)

    def _new(
        self,
        key: bytes,
        given: Json,
        custom_data: Json,
        input_json: bytes,
        custom_json: bytes,
    ) -> InputRow:
        changes = self._changes
        changes.run.inputs += 1
        row = InputRow(changes.run.inputs, key, input_json.decode(), custom_json.decode())
        self._by_key[key] = self._by_no[row.input_no] = row
        changes.new_inputs.add(row.input_no)
        changes.inputs[row.input_no] = row
        changes.custom_values += [
            (path, value, row.input_no) for path, value in lookup_values(custom_data)
        ]
        self._catalogue.see("input", given)
        self._catalogue.see("custom_data", custom_data)
        return row

    # ------------------------------------------------------------------ counts

    def _tally(self, row: InputRow, change: int) -> None:
        """Add the row to the run's counts, or take it out before it changes."""
        run, told = self._changes.run, row.told
        if told is None:
            if not row.statuses:
                return
            status = input_status(row.statuses)
        else:
            status = row.status
            if run.told is not None:
                run.told.inputs += change
                if status not in ENDED_INPUT_STATUSES:
                    run.told.pending += change
                if told.status in _SPOKEN and not row.statuses:
                    run.told.unheard += change
        if status == "SUCCEEDED":
            run.inputs_succeeded += change
        elif status in FAILED_INPUT_STATUSES:
            run.inputs_failed += change


def _is_newer(told: ToldInput, known: ToldInput) -> bool:
    """Of two tellings at the same time, any choice would do that arrival does not decide."""
    return (told.told_ms, _text(told)) >= (known.told_ms, _text(known))


def _text(told: ToldInput) -> tuple[str, int, int]:
    return (told.status or "", told.output_count or 0, told.place)
