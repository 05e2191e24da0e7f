"""Which events a change of a run raises: pure decisions from how it stood before and after."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.canonical import canonical
from app.event import Event, EventType, event
from app.model import TERMINAL_STATUSES, Completeness, Source, timestamp
from app.proof import (
    Losses,
    are_said_to_be_delivered,
    ending,
    generations,
    losses,
    proof,
    proving_walk,
)
from app.record import Record, callback_ref, input_record, input_uid, run_record
from app.store.derived import run_values
from app.store.rows import Changes, InputRow, RunRow
from app.store.views import InputView, RunView
from app.told import Told

INPUT_CHARACTERS_MAX = 64 * 1024
"""Of an input with its custom_data, as JSON: a longer one is left out of its event."""

SAID_TO_BE_DELIVERED = "Edges says that these callbacks were delivered"
NOT_KNOWN = "not known: Edges lists no callback that failed"

_ENDS = {
    status: EventType(f"run.{status.lower()}")
    for status in (
        "SUCCEEDED",
        "PARTIAL_SUCCEEDED",
        "FAILED",
        "BLOCKED",
        "STOPPED",
        "INVALID",
    )
}


class Standing(NamedTuple):
    """What of a run's state events are about."""

    exists: bool
    status: str
    ending: int
    """How often the run has come to an end; 0 as long as it goes on."""
    verdict: Completeness | None
    """`COMPLETE` or `INCOMPLETE`, once no more is to be had of Edges."""
    lost: Losses
    causes: frozenset[str]
    """Why callbacks were lost, as far as it is known."""


def standing(run: RunRow, *, asks_edges: bool) -> Standing:
    """How a run stands.

    Where Edges can be asked (`asks_edges`), a run has ended once it says so: a callback's
    status may speak of an input alone.
    """
    told = run.told
    proven = proof(told, run.statuses, run.all_results)
    lost = losses(told, run.results)
    exists = bool(run.first_received_ms)
    is_taken_at_its_word = not asks_edges or (
        told is not None and (told.last is not None or told.is_gone)
    )
    has_ended = exists and is_taken_at_its_word and proven.status in TERMINAL_STATUSES
    verdict = None
    if proven.completeness == Completeness.COMPLETE:
        verdict = Completeness.COMPLETE
    elif (
        told is not None
        and proven.completeness == Completeness.INCOMPLETE
        and (not proven.missing_results or proving_walk(told, Source.OUTPUTS) or told.is_gone)
    ):
        verdict = Completeness.INCOMPLETE
    return Standing(
        exists,
        proven.status,
        ending(told) if has_ended else 0,
        verdict,
        lost,
        _causes(told, lost) if told is not None and verdict else frozenset(),
    )


def _causes(told: Told, lost: Losses) -> frozenset[str]:
    """Of a run that is judged: only then it is known how much was lost."""
    if not (lost.results or lost.inputs):
        return frozenset()
    found = set(told.failures)
    if are_said_to_be_delivered(told, lost):
        found.add(SAID_TO_BE_DELIVERED)
    return frozenset(found or {NOT_KNOWN})


def raised(
    changes: Changes, before: Standing, *, asks_edges: bool, duplicates: int, now_ms: int
) -> list[Event]:
    """The events of a run's changes, in the order in which they are to be told.

    To be called once all else is decided: `changes.run` is how the run stands then.
    """
    run = changes.run
    after = standing(run, asks_edges=asks_edges)
    about = _About(run, now_ms)
    found = [*_inputs(changes, about), *_conflicts(changes, about)]
    steps = list(_steps(before, after))
    if steps:
        record = run_record(_view(run, duplicates))
        of_the_run = [about.event(kind, cause, record | extra) for kind, cause, extra in steps]
        is_new = not before.exists
        found = [*of_the_run[:is_new], *found, *of_the_run[is_new:]]
    return found


def _steps(before: Standing, after: Standing) -> Iterator[tuple[EventType, str, Record]]:
    """(Type, cause, what is said beside the run) of each event of the run itself."""
    if after.exists and not before.exists:
        yield EventType.RUN_STARTED, "", {}
    for cause in sorted(after.causes - before.causes):
        lost = after.lost
        yield (
            EventType.CALLBACKS_LOST,
            cause,
            {"cause": cause, "results": lost.results, "inputs": lost.inputs},
        )
    this_ending = str(after.ending)
    if after.ending and (before.ending, before.status) != (after.ending, after.status):
        yield _ENDS[after.status], this_ending, {}
    if after.verdict and (before.verdict, before.ending) != (after.verdict, after.ending):
        is_whole = after.verdict == Completeness.COMPLETE
        yield EventType.RUN_COMPLETED if is_whole else EventType.RUN_INCOMPLETE, this_ending, {}


class _About(NamedTuple):
    """What all events of one run's changes have in common."""

    run: RunRow
    now_ms: int

    def event(self, kind: EventType, cause: str, data: Record) -> Event:
        return event(
            kind,
            cause,
            time_ms=self.now_ms,
            data=data,
            run_uid=self.run.id.uid,
            action_name=self.run.action_name,
            scheduled_run_uid=self.run.scheduled_run_uid,
        )

    def brief(self) -> Record:
        """A run in what names it."""
        return {
            "run_uid": self.run.id.uid,
            "action_name": self.run.action_name,
            "scheduled_run_uid": self.run.scheduled_run_uid,
        }


def _inputs(changes: Changes, about: _About) -> Iterator[Event]:
    run = changes.run
    life = len(generations(run.told)) if run.told else 0
    for row in changes.inputs.values():
        if row.has_newly_failed:
            uid = row.input_uid or input_uid(row.input_key)
            record = input_record(run.id.uid, _input_view(row))
            size = len(row.input) + len(row.custom_data)
            if size > INPUT_CHARACTERS_MAX:  # events are read by the hundred
                record |= {"input": None, "custom_data": None, "left_out_characters": size}
            yield about.event(
                EventType.INPUT_FAILED, f"{uid}:{max(1, life)}", about.brief() | {"input": record}
            )


def _conflicts(changes: Changes, about: _About) -> Iterator[Event]:
    for row in changes.new_callbacks:
        if row.conflicts_with is not None:
            data = about.brief() | {
                "callback_ref_uid": callback_ref(row.key),
                "received_at": timestamp(row.received_ms),
            }
            yield about.event(EventType.CALLBACK_CONFLICT, f"{row.key}:{row.seq}", data)


def _view(run: RunRow, duplicates: int) -> RunView:
    values: dict[str, Any] = run_values(run) | {"told": run.told}
    del values["statuses"]
    return RunView(
        run_uid=run.id.uid, duplicates=duplicates, is_respelled=False, next_seq=0, **values
    )


def _input_view(row: InputRow) -> InputView:
    error = row.shown_error
    return InputView(
        input_no=row.input_no,
        input_key=row.input_key,
        input=row.input,
        custom_data=row.custom_data,
        status=row.status,
        error=canonical(error).decode() if error else None,
        results=row.results,
        first_received_ms=row.first_received_ms,
        last_received_ms=row.last_received_ms,
        input_uid=row.input_uid,
        told=row.told,
        order_key=b"",
    )
