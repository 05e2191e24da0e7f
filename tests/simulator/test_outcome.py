"""What happens comes from the seed alone."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.simulator import Scenario
from app.simulator.fate import fate_of, sending_order
from app.simulator.outcome import Outcome, entity_of, final_status, outcome_of

SHARES = Scenario(seed=5, failed_share=0.2, blocked_share=0.1, results_per_input=(0, 4))


def test_shares_are_kept() -> None:
    ends = Counter(outcome_of(SHARES, index, 0, None).status for index in range(4_000))
    assert 700 < ends["FAILED"] < 900
    assert 330 < ends["BLOCKED"] < 470
    counts = Counter(
        outcome.result_count
        for index in range(4_000)
        if (outcome := outcome_of(SHARES, index, 0, None)).status == "SUCCEEDED"
    )
    assert set(counts) == {0, 1, 2, 3, 4}


@given(st.integers(), st.integers(0, 99_999), st.integers(0, 3))
def test_an_outcome_is_the_same_whenever_it_is_asked_for(
    seed: int, index: int, number: int
) -> None:
    one, two = (Scenario(seed=seed, failed_share=0.5, drop_share=0.5) for _ in range(2))
    assert outcome_of(one, index, number, None) == outcome_of(two, index, number, None)
    assert fate_of(one, index) == fate_of(two, index)


def test_another_seed_is_another_story() -> None:
    one, two = (
        [outcome_of(Scenario(seed=seed), index, 0, None) for index in range(50)] for seed in (1, 2)
    )
    assert one != two


def test_faults_on_the_way_do_not_change_what_happens() -> None:
    faulty = Scenario(
        seed=5,
        failed_share=0.2,
        blocked_share=0.1,
        results_per_input=(0, 4),
        drop_share=0.5,
        delay_s=(0, 9),
        duplicate_share=1,
        reorder_window=99,
    )
    for index in range(100):
        assert outcome_of(SHARES, index, 0, None) == outcome_of(faulty, index, 0, None)


def test_pages() -> None:
    assert [Outcome("SUCCEEDED", None, n).page_count(10) for n in (0, 1, 10, 11)] == [1, 1, 1, 2]


def test_overlap_repeats_earlier_pages_only() -> None:
    scenario = Scenario(overlap_share=0.3, page_size=10)
    entities = [entity_of(scenario, 0, 0, offset) for offset in range(1_000)]
    assert entities[:10] == list(range(10))
    repeats = [(at, entity) for at, entity in enumerate(entities) if entity != at]
    assert 230 < len(repeats) < 370
    assert all(entity < at - at % 10 for at, entity in repeats)


@given(st.integers(), st.lists(st.integers()))
def test_shuffling_loses_nothing(seed: int, block: list[int]) -> None:
    assert sorted(sending_order(Scenario(seed=seed), block, 0)) == sorted(block)


def test_a_runs_status_follows_from_its_inputs() -> None:
    assert final_status({"SUCCEEDED": 2}) == "SUCCEEDED"
    assert final_status({"SUCCEEDED": 1, "BLOCKED": 1}) == "PARTIAL_SUCCEEDED"
    assert final_status({"FAILED": 1, "BLOCKED": 1}) == "FAILED"
    assert final_status({"BLOCKED": 2}) == "BLOCKED"
