"""How complete a run is, in sentences: what is here, what is not, why, and what happens next.

A pure function of the run's record, as the API gives it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from app.dashboard.words import many

Tone = Literal["ok", "busy", "warn", "bad"]
Record = Mapping[str, Any]

TEXT_LENGTH_MAX = 200
NAMED_MAX = 3
"""Batches and inputs that are named; the rest is counted."""
REPLAYS_MAX = 3
"""So often Edges replays a callback at most."""

_KEY = "COLLECTOR_EDGES_API_KEY"
_NOT_VERIFIED = "Finished, not verified"
_WHY: tuple[tuple[range, str], ...] = (
    (range(401, 402), "The token in the run's callback.headers was not this collector's."),
    (range(403, 404), "A proxy in front of the collector may have turned them away."),
    (range(404, 405), "The callback's URL did not lead to /callbacks of this collector."),
    (range(413, 414), "They were larger than COLLECTOR_MAX_BODY_BYTES, or than a proxy takes."),
    (range(500, 600), "The collector, or a proxy in front of it, was down or overloaded."),
)
_UNREACHABLE = re.compile(
    r"connect|time|resolve|dns|network|reach|tls|ssl|certificate", re.IGNORECASE
)


class Said(NamedTuple):
    """What there is to say of a run."""

    tone: Tone
    headline: str
    details: list[str]


def completeness_words(run: Record, now: datetime) -> Said:
    """What there is to say of `run`; times of the day of `now` (UTC) come without their date."""
    tell = _TELLERS.get(run["completeness"], _open)
    tone, headline, details = tell(run, now)
    return Said(tone, headline, [*details, *_recovered(run)])


def clock(moment: str | None, now: datetime) -> str:
    """`10:04 UTC`; of another day with its date; `some time` if it is not known."""
    if not moment:
        return "some time"
    read = datetime.fromisoformat(moment)
    return read.strftime("%H:%M UTC" if read.date() == now.date() else "%Y-%m-%d %H:%M UTC")


def _open(run: Record, now: datetime) -> Said:
    details = []
    if run["reconciliation"] is None:
        details.append(
            f"Without {_KEY} the collector goes by callbacks alone, and cannot ask Edges how many"
            " results there are to be: set it, and restart."
        )
    else:
        details += _problem(run, now)
    status = run["status"].replace("_", " ").lower()
    headline = f"The run goes on ({status}): what is here so far can be downloaded at any time."
    return Said("busy", headline, details)


def _unverified(run: Record, now: datetime) -> Said:
    if run["reconciliation"] is None:
        headline = (
            f"{_NOT_VERIFIED}: without {_KEY} the collector cannot ask Edges how many results there"
            " are. Set it, and restart."
        )
        return Said("warn", headline, [])
    if run["reconciliation"]["problem"]:
        return Said("warn", f"{_NOT_VERIFIED}: Edges could not be asked.", [*_problem(run, now)])
    if not run["reconciliation"]["checked_at"]:
        status = run["status"].replace("_", " ").lower()
        headline = (
            f"Callbacks say {status}, which may be true of their inputs alone: Edges is asked"
            " whether the run has ended."
        )
        return Said("busy", headline, [*_next(run, now)])
    headline = f"{_NOT_VERIFIED} yet: its inputs and results are being compared with Edges."
    return Said("busy", headline, [*_next(run, now)])


def _complete(run: Record, now: datetime) -> Said:
    counts = run["counts"]
    inputs, results = counts["inputs"], counts["results"]
    of_inputs = "The one input is" if inputs == 1 else f"Every one of {inputs:,} inputs is"
    of_results = (
        "the one result equals" if results == 1 else f"the {results:,} results equal"
    ) + " what Edges reports"
    if not results:
        of_results = "Edges reports no results, as is right for what is here"
    headline = (
        f"{of_inputs} accounted for, and {of_results}:"
        f" complete since {clock(run['reconciled_at'], now)}."
    )
    details = []
    if failed := counts["inputs_failed"]:
        verb = "is" if failed == 1 else "are"
        details.append(f"{many(failed, 'input')} failed, and {verb} listed below with the reason.")
    return Said("ok", headline, details)


def _incomplete(run: Record, now: datetime) -> Said:
    counts, missing = run["counts"], run["missing"] or {}
    expected = counts["expected_results"]
    headline = f"{counts['results']:,} of {many(expected or 0, 'result')}."
    surplus = missing.get("surplus_results")
    if surplus:
        headline = (
            f"{many(counts['results'], 'result')}, {surplus:,} more than Edges reports"
            f" ({expected or 0:,})."
        )
    elif not missing.get("results"):
        headline = f"All {many(counts['results'], 'result')} that Edges reports, and still not all."
    details = [*_missing(missing, now), *_problem(run, now)]
    if not run["reconciliation"]:
        details.append(f"Without {_KEY} the collector cannot ask Edges for them: set it.")
    elif not run["reconciliation"]["problem"]:
        details += _next(run, now) or [
            "Nothing more is tried by itself: reconcile asks Edges for it once more."
        ]
    return Said("bad", headline, details)


def _missing(missing: Record, now: datetime) -> Iterator[str]:
    if results := missing.get("results"):
        verb = "is" if results == 1 else "are"
        yield f"{many(results, 'result')} {verb} missing."
    if inputs := missing.get("inputs"):
        yield f"Of {many(inputs, 'input')} it is not known how {_it(inputs)} ended."
    yield from _refused(missing.get("callbacks") or [], now)
    if short := missing.get("short_inputs"):
        named = [f"{_input(one)} ({one['results']:,} fewer)" for one in short]
        yield f"Fewer results than Edges counts came for {_listed(named)}."
    if missing.get("surplus_results"):
        yield (
            "Edges may still be counting, or an input was run twice: what is here came from Edges,"
            " and is kept."
        )


def _refused(callbacks: Sequence[Record], now: datetime) -> Iterator[str]:
    """Of callbacks that Edges could not deliver: how many, by what it says of them."""
    groups: dict[tuple[int | None, str | None], list[Record]] = {}
    for one in callbacks:
        groups.setdefault((one["http_status"], one["error"]), []).append(one)
    for (status, error), group in sorted(groups.items(), key=lambda item: -len(item[1])):
        batches = list(dict.fromkeys(one["batch_uid"] for one in group if one["batch_uid"]))
        of_batch = ""
        if batches:
            of_batch = f" of {'batch' if len(batches) == 1 else 'batches'} {_listed(batches)}"
        was = "was" if len(group) == 1 else "were"
        how = f"{was} refused by this server with {status}" if status else "did not arrive"
        why = f" ({_bounded(error)})" if error and not status else ""
        yield (
            f"{many(len(group), 'callback')}{of_batch} {how} {_when(group, now)}{why};"
            f" {_replays(group)}. {_why(status, error)}".rstrip()
        )


def _when(group: Sequence[Record], now: datetime) -> str:
    times = sorted(one["created_at"] for one in group if one["created_at"])
    if not times:
        return "at some time"
    first, last = clock(times[0], now), clock(times[-1], now)
    return f"at {first}" if first == last else f"between {first} and {last}"


def _replays(group: Sequence[Record]) -> str:
    asked = [one["replays_asked"] for one in group]
    if min(asked) >= REPLAYS_MAX:
        return "each was replayed three times, which is all that Edges does"
    if min(asked) > 0:
        return "a replay was asked for" if len(group) == 1 else "replays were asked for"
    if max(asked) > 0:
        done = sum(1 for one in asked if one)
        return f"replays were asked for of {done:,}, the others are to come"
    return "a replay is to be asked for"


def _why(status: int | None, error: str | None) -> str:
    if status is None:
        is_unreachable = not error or _UNREACHABLE.search(error)
        return "Can the callback's URL be reached from outside?" if is_unreachable else ""
    return next((words for statuses, words in _WHY if status in statuses), "")


def _recovered(run: Record) -> Iterator[str]:
    """What callbacks did not bring by themselves, and is here all the same."""
    losses = run["losses"]
    if not losses:
        return
    if results := losses["results"]:
        verb = "was" if results == 1 else "were"
        yield (
            f"{many(results, 'result')} that no callback brought by itself {verb} recovered from"
            " Edges, by replay or from its list of outputs."
        )
    if inputs := losses["inputs"]:
        yield f"{many(inputs, 'input')} of which no callback told {_are(inputs)} known from Edges."
    if losses.get("are_said_to_be_delivered"):
        yield "Edges records no failure of some callbacks that never came here."


def _problem(run: Record, now: datetime) -> Iterator[str]:
    reconciliation = run["reconciliation"]
    if reconciliation and reconciliation["problem"]:
        yield f"Edges could not be asked: {_bounded(reconciliation['problem'])}."
        yield from _next(run, now)


def _next(run: Record, now: datetime) -> list[str]:
    reconciliation = run["reconciliation"]
    if not reconciliation or not reconciliation["next_at"]:
        return []
    if datetime.fromisoformat(reconciliation["next_at"]) <= now:
        return ["Edges is being asked now."]
    return [f"Edges is asked again at {clock(reconciliation['next_at'], now)}."]


def _it(count: int) -> str:
    return "it" if count == 1 else "they"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _input(one: Record) -> str:
    return f"input {_bounded(one['input_uid'])}" if one["input_uid"] else "an input without a uid"


def _listed(names: Sequence[str]) -> str:
    named = [_bounded(name) for name in names[:NAMED_MAX]]
    if len(names) > NAMED_MAX:
        return f"{', '.join(named)} and {len(names) - NAMED_MAX:,} more"
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))


def _bounded(text: object) -> str:
    words = str(text).strip().rstrip(".")
    return words if len(words) <= TEXT_LENGTH_MAX else f"{words[: TEXT_LENGTH_MAX - 1]}…"


_TELLERS = {
    "open": _open,
    "unverified": _unverified,
    "complete": _complete,
    "incomplete": _incomplete,
}
