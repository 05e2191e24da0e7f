"""What is asked next, and that whatever was told decides it alone."""

from collections.abc import Mapping

from app.model import Source
from app.reconcile.steps import (
    ReadRun,
    Replay,
    Situation,
    Wait,
    WalkPages,
    next_step,
)
from app.store.rows import EdgesCallbackRow
from app.told import Act, Reading, Told, Walk

NOW = 1_800_000_000_000


def told(status: str = "SUCCEEDED", walks: Mapping[str, Walk] | None = None) -> Told:
    return Told(readings=[Reading(NOW, status, 3_000)], walks=dict(walks or {}))


def whole(kind: Source, began_ms: int = NOW) -> Walk:
    return Walk(kind.value, began_ms, pages=1, highest=0, last=0)


def situation(of: Told | None, **more: object) -> Situation:
    values: dict[str, object] = {
        "now_ms": NOW + 60_000,
        "began_ms": NOW,
        "told": of,
        "missing_results": 0,
        "missing_inputs": 0,
        "last_received_ms": NOW - 60_000,
        **more,
    }
    return Situation(**values)  # type: ignore[arg-type]


def failed(number: int, replays: int = 0) -> list[EdgesCallbackRow]:
    return [
        EdgesCallbackRow(f"cb-{n}", None, None, "FAILED", 503, None, NOW, NOW, replays)
        for n in range(number)
    ]


LISTED = {"inputs": whole(Source.INPUTS), "callbacks": whole(Source.CALLBACKS)}


def test_the_run_is_asked_about_once_in_each_pass() -> None:
    assert next_step(situation(None)) == ReadRun()
    assert next_step(situation(told(), began_ms=NOW + 1)) == ReadRun()
    assert next_step(situation(told("RUNNING"))) is None


def test_inputs_are_walked_once_and_again_only_if_some_have_no_end() -> None:
    assert next_step(situation(told())) == WalkPages(Source.INPUTS)
    walked = told(walks={"inputs": whole(Source.INPUTS)})
    assert next_step(situation(walked)) is None
    assert next_step(situation(walked, missing_inputs=2)) is None
    again = told(walks={"inputs": whole(Source.INPUTS, NOW)})
    again.add_reading(Reading(NOW + 10, "SUCCEEDED", 3_000))
    later = situation(again, missing_inputs=2, began_ms=NOW + 10)
    assert next_step(later) == WalkPages(Source.INPUTS)


def test_a_walk_that_was_cut_off_goes_on_unless_the_run_went_on_since() -> None:
    walk = Walk(Source.INPUTS.value, NOW, pages=2, highest=1, next_url="https://next")
    assert next_step(situation(told(walks={"a": walk}))) == WalkPages(Source.INPUTS, "a", walk)
    old = Walk(Source.INPUTS.value, NOW - 1, pages=2, highest=1, next_url="https://next")
    assert next_step(situation(told(walks={"a": old}))) == WalkPages(Source.INPUTS)


def test_what_is_on_its_way_is_waited_for() -> None:
    fresh = situation(told(walks=LISTED), missing_results=5, last_received_ms=NOW, now_ms=NOW + 500)
    assert next_step(fresh) == Wait(NOW + 2_000)


def test_callbacks_are_replayed_only_where_that_is_cheaper_than_all_outputs() -> None:
    missing = {"missing_results": 5}
    few = situation(told(walks=LISTED), failed=failed(5), **missing)
    assert next_step(few) == Replay(tuple(row.uid for row in failed(5)))
    many = situation(told(walks=LISTED), failed=failed(6), **missing)  # 3,000 outputs are six pages
    assert next_step(many) == WalkPages(Source.OUTPUTS)
    spent = situation(told(walks=LISTED), failed=failed(2, replays=3), **missing)
    assert next_step(spent) == WalkPages(Source.OUTPUTS)
    cut = {**LISTED, "callbacks": whole(Source.CALLBACKS)}
    cut["callbacks"].is_cut = True
    assert next_step(situation(told(walks=cut), failed=failed(1), **missing)) == WalkPages(
        Source.OUTPUTS
    )


def test_after_a_replay_comes_a_wait_and_then_the_outputs() -> None:
    asked = told(walks=LISTED)
    asked.add_act(Act(NOW + 1_000, "replay"))
    soon = situation(asked, missing_results=5, failed=failed(1, 1), now_ms=NOW + 5_000)
    assert next_step(soon) == Wait(NOW + 16_000)
    late = situation(asked, missing_results=5, failed=failed(1, 1), now_ms=NOW + 16_000)
    assert next_step(late) == WalkPages(Source.OUTPUTS)
    walked = told(walks={**LISTED, "outputs": whole(Source.OUTPUTS)})
    assert next_step(situation(walked, missing_results=5)) is None
