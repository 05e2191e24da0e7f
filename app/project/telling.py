"""What answers of Edges change in a run: pure decisions, independent of order."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from app.model import Source, normalise_error
from app.project.answers import Answer, CallbackTold
from app.project.inputs import Inputs
from app.project.merge import lesser
from app.project.reading import short_text
from app.proof import generations
from app.store.rows import CallbackRow, Changes, EdgesCallbackRow, OutputPage
from app.told import Act, Told, Walk

REASON_LENGTH_MAX = 120

_FACTS = ("parameters", "created_at", "started_at", "finished_at", "retry_count")


class Recorded(Protocol):
    """What is asked of the store beyond the rows that are known already."""

    def edges_callbacks(self, uids: Sequence[str]) -> Iterable[EdgesCallbackRow]:
        """Those of these records that are stored."""

    def with_keys(self, keys: Sequence[str]) -> Iterable[CallbackRow]:
        """The stored callbacks with these keys; rare, since it reads the run's."""


class Telling:
    """Takes answers about one run, in any order, and gathers what they change."""

    def __init__(self, changes: Changes, inputs: Inputs, recorded: Recorded) -> None:
        self._changes = changes
        self._inputs = inputs
        self._recorded = recorded
        if changes.run.told is None:
            changes.run.told = Told()
        self._told = changes.run.told
        self.must_recount = False
        """Whether other results of `/outputs` may count now than before."""

    def add_all(self, answers: Sequence[Answer]) -> None:
        """Take these answers."""
        uids = {record.uid for answer in answers for record in answer.callbacks}
        uids |= {answer.about.callback_uid for answer in answers if answer.about.callback_uid}
        known = {row.uid: row for row in self._recorded.edges_callbacks(sorted(uids))}
        self._changes.edges_callbacks |= known
        replays = set(self._told.replays)
        for answer in answers:
            self._add(answer)
        self._attribute(set(self._told.replays) - replays)

    def _add(self, answer: Answer) -> None:
        told_ms = answer.logged.received_ms
        run = self._changes.run
        if told_ms < run.first_received_ms or not run.first_received_ms:
            run.first_received_ms = told_ms
        source = answer.logged.source
        if source == Source.ACT:
            self._told.add_act(Act(told_ms, answer.about.act or ""))
        if answer.reading is not None:
            self._told.add_reading(answer.reading)
            self.must_recount |= bool(self._told.from_outputs and len(generations(self._told)) > 1)
        if answer.run is not None:
            self._add_facts(answer, told_ms)
        if answer.about.walk is not None:
            self._add_page(answer, answer.about.walk, told_ms)
        for item in answer.inputs:
            self._inputs.tell(item)
        for record in answer.callbacks:
            self._record(record, told_ms)
        if answer.about.callback_uid is not None:
            self._note_replay(answer.about.callback_uid, answer)

    def _add_facts(self, answer: Answer, told_ms: int) -> None:
        run, value = self._changes.run, answer.run or {}
        run.action_name = lesser(run.action_name, short_text(value.get("action_name")))
        run.execution_mode = lesser(run.execution_mode, short_text(value.get("execution_mode")))
        run.scheduled_run_uid = lesser(
            run.scheduled_run_uid, short_text(value.get("scheduled_run_uid"))
        )
        if told_ms >= self._told.facts_ms:
            self._told.facts_ms = told_ms
            self._told.facts = {name: value.get(name) for name in _FACTS}
            self._told.facts["last_error"] = normalise_error(value.get("last_error"))

    def _add_page(self, answer: Answer, walk_uid: str, told_ms: int) -> None:
        about, source = answer.about, answer.logged.source
        walk = self._told.walks.setdefault(walk_uid, Walk(source, about.began_ms))
        walk.add(about.page, answer.rows, about.next_url, is_cut=about.is_cut)
        if answer.outputs is not None:
            self._changes.output_pages.append(
                OutputPage(walk_uid, about.page, answer.logged.seq, told_ms, answer.outputs)
            )
        if walk.is_complete and source == Source.INPUTS:
            self._changes.are_inputs_placed = True
        if walk.is_complete and source == Source.OUTPUTS:
            self.must_recount = True

    # --------------------------------------------------------------- callbacks

    def _record(self, record: CallbackTold, told_ms: int) -> None:
        rows = self._changes.edges_callbacks
        known = rows.get(record.uid)
        if known is not None and known.told_ms > told_ms:
            return
        replays = known.replays if known else 0
        rows[record.uid] = EdgesCallbackRow(*record, told_ms, replays)
        for row, change in ((known, -1), (rows[record.uid], 1)):
            if row is not None and _is_lost(row):
                self._told.failed_callbacks += change
                self._count_failure(row, change)

    def _count_failure(self, row: EdgesCallbackRow, change: int) -> None:
        reason = _reason(row)
        failures = self._told.failures
        failures[reason] = failures.get(reason, 0) + change
        if failures[reason] <= 0:
            del failures[reason]

    def _note_replay(self, original: str, answer: Answer) -> None:
        rows = self._changes.edges_callbacks
        known = rows.get(original)
        if known is None:
            known = EdgesCallbackRow(original, None, None, None, None, None, None, 0, 0)
        if answer.callbacks:
            self._told.replays.update({record.uid: original for record in answer.callbacks})
        else:  # asked for, not answered yet
            rows[original] = known._replace(replays=known.replays + 1)
            self._told.replays[original] = original

    def _attribute(self, uids: set[str]) -> None:
        """Count the results of callbacks that came before it was known that they are replays."""
        if not uids:
            return
        new = [row for row in self._changes.new_callbacks if row.key in uids]
        stored = self._recorded.with_keys(sorted(uids))
        seqs = {row.seq for row in new}
        changed = self._changes.changed_callbacks
        rows = [*new, *(changed.get(row.seq, row) for row in stored if row.seq not in seqs)]
        self._told.replayed += sum(row.results for row in rows if row.lost_to is None)
        for row in rows:
            self._told.note_arrival(row.key)


def _is_lost(row: EdgesCallbackRow) -> bool:
    """Whether it is an original that Edges could not deliver."""
    return row.status == "FAILED" and row.parent_uid is None


def _reason(row: EdgesCallbackRow) -> str:
    """Why Edges could not deliver it, in few enough words that reasons stay few."""
    if row.http_status is not None:
        return f"refused with HTTP status {row.http_status}"
    return (row.error or "no reason given")[:REASON_LENGTH_MAX]
