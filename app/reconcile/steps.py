"""What to ask Edges next about a run: a pure decision from what it told so far.

All progress is in what was told: whoever takes over from a process that died decides the
same, and goes on behind the last page that was logged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.model import TERMINAL_STATUSES, Source
from app.proof import proving_walk, settled_since
from app.store.rows import EdgesCallbackRow
from app.told import Told, Walk

SETTLE_MS = 2_000

REPLAYS_MAX = 3
"""Of one callback: Edges takes no more."""

CALLBACK_PAGES_MAX = 10
"""Pages of failed callbacks that are read to say why results are missing."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long what is on its way may take, in milliseconds."""

    settle_ms: int = SETTLE_MS
    """Callbacks that were sent when a run ended."""
    replay_ms: int = 15_000
    """A callback that was asked for again."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a run, and of the pass that it is in."""

    now_ms: int
    began_ms: int
    """When this pass began: what was told before may have changed since."""
    told: Told | None
    missing_results: int
    missing_inputs: int
    last_received_ms: int
    """When its latest callback came."""
    lost_inputs: int = 0
    """Inputs of whose end no callback told, although others did of theirs."""
    failed: Sequence[EdgesCallbackRow] = ()
    """Original callbacks that Edges records as failed."""
    page_limit: int = 500
    waits: Waits = Waits()


@dataclass(frozen=True, slots=True)
class ReadRun:
    """Ask for the run's status and counts."""


@dataclass(frozen=True, slots=True)
class WalkPages:
    """Read a list from its first page, or go on where an earlier walk was cut off."""

    kind: Source
    walk_uid: str | None = None
    walk: Walk | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Ask for these callbacks again."""

    callback_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """What was asked for is on its way."""

    until_ms: int


Step = ReadRun | WalkPages | Replay | Wait


def next_step(situation: Situation) -> Step | None:
    """The next step of a pass; None if there is nothing to be done for now."""
    told = situation.told
    if told is None or told.last is None or told.last.told_ms < situation.began_ms:
        return ReadRun()
    if told.last.status not in TERMINAL_STATUSES:
        return None
    listed = proving_walk(told, Source.INPUTS)
    if listed is None or (situation.missing_inputs and listed.began_ms < situation.began_ms):
        return _walk(told, Source.INPUTS, situation)
    if not situation.missing_results:
        is_explained = not situation.lost_inputs or proving_walk(told, Source.CALLBACKS) is not None
        return None if is_explained else _walk(told, Source.CALLBACKS, situation)
    settled_ms = situation.last_received_ms + situation.waits.settle_ms
    if situation.now_ms < settled_ms:
        return Wait(settled_ms)
    return _recover(told, situation)


def _recover(told: Told, situation: Situation) -> Step | None:
    """Say why results are missing, have the callbacks sent again, or read all outputs."""
    listed = proving_walk(told, Source.CALLBACKS)
    if listed is None:
        return _walk(told, Source.CALLBACKS, situation)
    walked = proving_walk(told, Source.OUTPUTS)
    if walked is not None and walked.began_ms >= situation.began_ms:
        return None
    asked_ms = told.latest("replay")
    if asked_ms < situation.began_ms:
        again = [row.uid for row in situation.failed if row.replays < REPLAYS_MAX]
        if again and not listed.is_cut and len(again) < _pages(told, situation):
            return Replay(tuple(again))
    elif situation.now_ms < asked_ms + situation.waits.replay_ms:
        return Wait(asked_ms + situation.waits.replay_ms)
    return _walk(told, Source.OUTPUTS, situation)


def _pages(told: Told, situation: Situation) -> int:
    """What it costs to read all outputs."""
    count = (told.last.output_count if told.last else 0) or 0
    return -(-count // situation.page_limit)


def _walk(told: Told, kind: Source, situation: Situation) -> WalkPages:
    """A new walk, or the one that was cut off, if it can still prove something."""
    since = settled_since(told) or situation.began_ms
    for uid, walk in reversed(told.walks_of(kind)):
        if walk.is_complete or walk.began_ms < since or walk.next_url is None:
            break
        return WalkPages(kind, uid, walk)
    return WalkPages(kind)
