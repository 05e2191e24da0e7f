"""Generations, both ways of counting, and what is proven."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.model import Completeness, Source
from app.proof import expected_results, generations, is_reset, proof
from app.told import Act, Reading, Told, Walk

END = "SUCCEEDED"


def told(*readings: tuple[str, int | None], acts: tuple[tuple[int, str], ...] = ()) -> Told:
    """Readings at 10, 20, 30, …"""
    found = Told()
    for place, (status, count) in enumerate(readings, 1):
        found.add_reading(Reading(place * 10, status, count))
    for at, name in acts:
        found.add_act(Act(at, name))
    return found


def walked(of: Told, rows: int, began_ms: int) -> Told:
    of.walks["w"] = Walk(Source.INPUTS.value, began_ms, pages=1, rows=rows, highest=0, last=0)
    of.inputs = rows
    return of


def test_a_continuation_begins_a_generation_and_a_resume_does_not() -> None:
    assert len(generations(told(("RUNNING", 1), (END, 5)))) == 1
    assert len(generations(told((END, 5), ("RUNNING", 5), (END, 9)))) == 2
    resumed = told(("STOPPED", 5), ("QUEUED", 5), (END, 9), acts=((15, "resume"),))
    assert len(generations(resumed)) == 1
    at_once = told((END, 5), (END, 9), acts=((15, "continue"),))
    assert len(generations(at_once)) == 2


def test_both_readings_of_output_count_are_told_apart_by_the_data() -> None:
    grown = told((END, 5), ("RUNNING", 5), (END, 9))
    assert not is_reset(grown, 9)
    assert expected_results(grown) == 9
    fallen = told((END, 5), ("RUNNING", 1), (END, 9))
    assert is_reset(fallen, 9)
    fallen.is_reset = True
    assert expected_results(fallen) == 14
    unseen = told((END, 5), (END, 9), acts=((15, "continue"),))
    assert not is_reset(unseen, 9)
    assert is_reset(unseen, 14)  # more is here than it reports
    going_on = told((END, 5), ("RUNNING", 6), acts=((15, "continue"),))
    assert not is_reset(going_on, 8)  # callbacks are ahead of the count


def test_complete_means_proven() -> None:
    assert proof(None, {"SUCCEEDED"}, 3).completeness == Completeness.UNVERIFIED
    assert proof(None, {"RUNNING"}, 3).completeness == Completeness.OPEN
    ended = told(("RUNNING", 1), (END, 5))
    assert proof(ended, {END}, 5).completeness == Completeness.UNVERIFIED
    assert proof(walked(ended, 4, 19), {END}, 5).completeness == Completeness.UNVERIFIED
    assert proof(walked(ended, 4, 20), {END}, 5).completeness == Completeness.COMPLETE
    less, more = proof(ended, {END}, 3), proof(ended, {END}, 6)
    assert (less.completeness, less.missing_results) == (Completeness.INCOMPLETE, 2)
    assert (more.completeness, more.surplus_results) == (Completeness.INCOMPLETE, 1)
    ended.pending = 1
    assert proof(ended, {END}, 5).missing_inputs == 1
    ended.pending, ended.inputs = 0, 3
    assert proof(ended, {END}, 5).missing_inputs == 1


def test_what_changed_after_the_walk_has_to_be_walked_again() -> None:
    changed = walked(told((END, 5), (END, 7)), 4, 15)
    assert proof(changed, {END}, 7).completeness == Completeness.UNVERIFIED


READINGS = st.builds(
    Reading,
    st.integers(0, 12),
    st.sampled_from(["RUNNING", END, "STOPPED"]),
    st.one_of(st.none(), st.integers(0, 3)),
)


@settings(max_examples=60)
@given(st.lists(READINGS, max_size=12, unique_by=lambda one: one.told_ms), st.randoms())
def test_readings_are_the_same_in_any_order(readings: list[Reading], rng: st.DataObject) -> None:
    states = []
    for _ in range(2):
        found = Told()
        for reading in readings:
            found.add_reading(reading)
        states.append(found)
        readings = list(readings)
        rng.shuffle(readings)  # type: ignore[attr-defined]
    one, other = states
    assert generations(one)[-1:] == [] or one.last == other.last
    assert len(generations(one)) == len(generations(other))
    assert expected_results(one) == expected_results(other)
