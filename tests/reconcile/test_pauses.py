"""When a run is due: at once where there is reason, later and later where there is none."""

from dataclasses import replace
from typing import Any

from app.model import Source
from app.reconcile.pauses import RETENTION_MS, due_ms
from app.store.views import RunView
from app.told import Act, Reading, Told, Walk

NOW = 1_800_000_000_000
SILENCE = 60_000
DAY = 24 * 3_600_000


def run(told: Told | None = None, **more: object) -> RunView:
    known: list[Any] = ["run", "RUNNING", "open", None, None, None, 5, 0, 0, 5, 5, 0, 0]
    known += [NOW - 600_000, NOW, None, 0, None, None, 0, 0, None, False, told, 6]
    view = RunView(*known)
    return replace(view, **more)  # type: ignore[arg-type]


def ended(*times_ms: int, is_walked: bool = True) -> Told:
    told = Told(readings=[Reading(at, "SUCCEEDED", 9) for at in times_ms])
    if is_walked:
        told.walks["w"] = Walk(Source.INPUTS.value, times_ms[0], pages=1, highest=0, last=0)
    return told


def test_a_silent_run_is_asked_about_and_less_often_the_longer_it_is_silent() -> None:
    assert due_ms(run(), SILENCE) == NOW + SILENCE
    still = Told(readings=[Reading(NOW + SILENCE, "RUNNING", 1)])
    assert due_ms(run(still), SILENCE) == NOW + 2 * SILENCE
    for_long = Told(readings=[Reading(NOW + DAY, "RUNNING", 1)])
    assert due_ms(run(for_long), SILENCE) == NOW + DAY + 3_600_000


def test_an_end_that_a_callback_shows_is_looked_at_at_once() -> None:
    assert (due_ms(run(terminal_ms=NOW), SILENCE) or 0) <= NOW + 2_000
    # After an hour in which they spoke of inputs alone, not more often than a silence.
    asked = Told(readings=[Reading(NOW - 1_000, "RUNNING", 1)])
    late = run(asked, terminal_ms=NOW, first_received_ms=NOW - 36 * SILENCE)
    assert due_ms(late, SILENCE) == NOW - 1_000 + SILENCE


def test_what_has_ended_is_proven_at_once_and_tried_again_with_growing_pauses() -> None:
    assert (due_ms(run(ended(NOW, is_walked=False)), SILENCE) or 0) <= NOW + 2_000
    first = due_ms(run(ended(NOW), completeness="incomplete"), SILENCE)
    assert first == NOW + 30_000
    later = due_ms(run(ended(NOW, NOW + 3_600_000), completeness="incomplete"), SILENCE)
    assert later == NOW + 3_600_000 + 1_800_000
    last = due_ms(run(ended(NOW, NOW + 40 * DAY), completeness="incomplete"), SILENCE)
    assert last == NOW + 41 * DAY
    assert due_ms(run(ended(NOW), completeness="complete"), SILENCE) is None


def test_a_walk_that_was_cut_off_is_gone_on_with_at_once() -> None:
    told = ended(NOW)
    told.walks["x"] = Walk(Source.OUTPUTS.value, NOW, pages=3, highest=2, next_url="https://next")
    assert due_ms(run(told, completeness="incomplete"), SILENCE) == NOW + 2_000


def test_nothing_is_asked_of_what_edges_has_archived() -> None:
    gone = ended(NOW)
    gone.add_act(Act(NOW + 1, "gone"))
    assert due_ms(run(gone, completeness="incomplete"), SILENCE) is None
    old = run(ended(NOW), completeness="incomplete", first_received_ms=NOW - RETENTION_MS)
    assert due_ms(old, SILENCE) is None
    gone.add_act(Act(NOW + 2, "reconcile"))
    assert due_ms(run(gone, completeness="incomplete"), SILENCE) == NOW + 2
    gone.add_act(Act(NOW + 3, "gone"))
    assert due_ms(run(gone, completeness="incomplete"), SILENCE) is None
    asked = ended(NOW)
    asked.add_act(Act(NOW + 5, "reconcile"))
    assert due_ms(run(asked, completeness="complete"), SILENCE) == NOW + 5
