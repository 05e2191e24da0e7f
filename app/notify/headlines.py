"""What happened, in one sentence of plain text: the subject of a mail, the first line in a chat."""

from collections.abc import Callable

from app.canonical import Json
from app.notify.words import (
    count,
    error_words,
    line,
    listed,
    many,
    member,
    place_of,
    run_name,
)

HEADLINE_LENGTH_MAX = 500


def headline(event_type: str, data: Json) -> str:
    """One sentence for `event_type` (`run.failed`), on one line of `HEADLINE_LENGTH_MAX` at most.

    `data` is the event's; what is missing of it is left out. An unknown type has a sentence too.
    """
    tell = _SENTENCES.get(event_type)
    sentence = tell(data) if tell else f"event {line(event_type, 100)} of {run_name(data)}"
    return line(sentence[:1].upper() + sentence[1:], HEADLINE_LENGTH_MAX)


def _started(data: Json) -> str:
    return f"{run_name(data)} started"


def _succeeded(data: Json) -> str:
    return f"{run_name(data)} succeeded{_so_far(data)}; it is not yet verified that all arrived"


def _partly_succeeded(data: Json) -> str:
    failed, inputs = count(_counted(data, "inputs_failed")), many(_counted(data, "inputs"), "input")
    part = f": {failed:,} of {inputs} failed" if failed is not None and inputs else ""
    return f"{run_name(data)} succeeded only in part{part}{_why(data, '; last error ')}"


def _failed(data: Json) -> str:
    return f"{run_name(data)} failed{_why(data, ': ')}"


def _blocked(data: Json) -> str:
    return f"{run_name(data)} is blocked{_why(data, ': ')}"


def _stopped(data: Json) -> str:
    return f"{run_name(data)} was stopped{_so_far(data)}"


def _invalid(data: Json) -> str:
    return f"Edges found {run_name(data)} invalid{_why(data, ': ')}"


def _completed(data: Json) -> str:
    results = many(_counted(data, "results"), "result")
    inputs = many(_counted(data, "inputs"), "input")
    of_inputs = f" of {inputs}" if results and inputs else ""
    failed = many(_counted(data, "inputs_failed") or None, "failed input")
    number = count(_counted(data, "results"))
    verb = " is here" if number == 1 else " are here"
    whole = f": {results}{of_inputs}{verb}, verified with Edges" if results else ""
    return f"{run_name(data)} is complete{whole}{', with ' + failed if failed else ''}"


def _incomplete(data: Json) -> str:
    callbacks = member(data, "missing", "callbacks")
    missing = listed(
        many(member(data, "missing", "results") or None, "result"),
        many(member(data, "missing", "inputs") or None, "input"),
        many(len(callbacks) if isinstance(callbacks, list) and callbacks else None, "callback"),
    )
    told = f"missing: {missing}" if missing else "not all that Edges reported arrived"
    return f"{run_name(data)} is incomplete; {told}"


def _input_failed(data: Json) -> str:
    why = error_words(member(data, "input", "error"))
    return f"an input of {run_name(data)} failed{': ' + why if why else ''}"


def _quarantined(data: Json) -> str:
    reason, detail = line(member(data, "reason"), 100), line(member(data, "detail"))
    why = f"{reason} ({detail})" if reason and detail else reason or detail
    return f"a callback was not understood, and is kept in quarantine{': ' + why if why else ''}"


def _conflict(data: Json) -> str:
    ref = line(member(data, "callback_ref_uid"), 100)
    return (
        f"callback {ref + ' ' if ref else ''}of {run_name(data)} came again with other content;"
        " both are kept, see which is right"
    )


def _lost(data: Json) -> str:
    cause = line(member(data, "cause"))
    lost = listed(
        many(member(data, "results"), "result"),
        many(member(data, "inputs"), "input"),
    )
    return (
        f"callbacks of {run_name(data)} were lost{': ' + lost if lost else ''}"
        f"{' (' + cause + ')' if cause else ''}"
    )


def _missed(data: Json) -> str:
    action, due = line(member(data, "action_name"), 100), line(member(data, "due_at"), 100)
    uid = line(member(data, "scheduled_run_uid"), 100)
    name = f"{action} ({uid})" if action and uid else action or uid
    return (
        f"{'schedule ' + name if name else 'a schedule'} missed"
        f" {'its run of ' + due if due else 'a run'}"
    )


def _disabled(data: Json) -> str:
    place, reason = place_of(member(data, "url")), line(member(data, "reason"))
    known = [line(member(data, "endpoint_id"), 100), f"at {place}" if place else ""]
    name = " ".join(filter(None, ["endpoint", *known])) if any(known) else "an endpoint"
    return f"{name} was disabled and gets no more events{': ' + reason if reason else ''}"


def _test(_: Json) -> str:
    return "this is a test: events of the Edges collector arrive here"


def _counted(data: Json, name: str) -> Json:
    return member(data, "counts", name)


def _so_far(data: Json) -> str:
    results = many(_counted(data, "results"), "result")
    inputs = many(_counted(data, "inputs"), "input")
    if not results:
        return ""
    return f" with {results}{' of ' + inputs if inputs else ''} so far"


def _why(data: Json, lead: str) -> str:
    why = error_words(member(data, "last_error"))
    return lead + why if why else ""


_SENTENCES: dict[str, Callable[[Json], str]] = {
    "run.started": _started,
    "run.succeeded": _succeeded,
    "run.partial_succeeded": _partly_succeeded,
    "run.failed": _failed,
    "run.blocked": _blocked,
    "run.stopped": _stopped,
    "run.invalid": _invalid,
    "run.completed": _completed,
    "run.incomplete": _incomplete,
    "input.failed": _input_failed,
    "callback.quarantined": _quarantined,
    "callback.conflict": _conflict,
    "callbacks.lost": _lost,
    "schedule.missed": _missed,
    "endpoint.disabled": _disabled,
    "endpoint.test": _test,
}
