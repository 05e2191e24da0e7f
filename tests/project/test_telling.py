"""Answers of Edges among callbacks, in any order: the same answers end in the same state."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.canonical import canonical
from app.envelope import About, enveloped
from app.model import Arrival, Source
from tests.callbacks import callback
from tests.databases import postgres
from tests.project.test_merge import RESULT, a_callback, expected_results, outcome, spelled
from tests.soak import examples

RUN = "run-1"
EARLY_MS, LATE_MS = 1_600_000_000_000, 1_900_000_000_000
"""Before all callbacks came, and after."""

PROFILE: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


def answer(key: str, source: Source, value: Any, told_ms: int, **about: Any) -> Arrival:
    body = enveloped(About(**about), canonical(value))
    return Arrival(RUN, f"edges:{key}", body, told_ms, source.value)


@st.composite
def a_walk(
    draw: st.DrawFn, source: Source, rows: Sequence[Any], number: int, told_ms: int
) -> list[Arrival]:
    """The pages of a walk; the last ones may be missing."""
    size = draw(st.integers(1, 4))
    pages = [list(rows[at : at + size]) for at in range(0, len(rows), size)] or [[]]
    kept = draw(st.sampled_from([len(pages), len(pages), len(pages) - 1]))
    return [
        answer(
            f"{source}-{number}:{page}",
            source,
            on_page,
            told_ms + page,
            walk=f"walk-{number}-{source}",
            page=page,
            began_ms=told_ms,
            next_url=None if page == len(pages) - 1 else f"https://edges/?page={page + 1}",
        )
        for page, on_page in enumerate(pages[:kept])
    ]


@st.composite
def a_telling(draw: st.DrawFn) -> tuple[list[Arrival], Counter[bytes]]:
    """Answers about one run, and what they list of its outputs."""
    told_ms = draw(st.sampled_from([EARLY_MS, LATE_MS]))
    status = draw(st.sampled_from(["RUNNING", "SUCCEEDED", "STOPPED"]))
    rows = draw(st.lists(st.sampled_from(["row-1", "row-2", "row-3"]), max_size=4))
    inputs = [
        {
            "uid": f"uid-{place}",
            "input_data": {"linkedin_profile_url": f"https://www.linkedin.com/in/{row}"},
            "custom_data": {"row_id": row, "list": "leads"},
            "status": draw(st.sampled_from([None, "RUNNING", "SUCCEEDED", "FAILED"])),
            "last_error": draw(st.sampled_from([None, {"has_failed": True, "label": "NO_RESULT"}])),
            "output_count": draw(st.integers(0, 3)),
        }
        for place, row in enumerate(rows)
    ]
    listed: Counter[bytes] = Counter()
    answers = [answer("run", Source.RUN, {"status": status, "output_count": 3}, told_ms)]
    answers += draw(a_walk(Source.INPUTS, inputs, 0, told_ms))
    for number in range(draw(st.integers(0, 2))):
        outputs = draw(st.lists(RESULT, max_size=6))
        pages = draw(a_walk(Source.OUTPUTS, outputs, number, told_ms + number * 100))
        answers += pages
        if pages and b"next_url" not in pages[-1].body:
            listed |= Counter(map(canonical, outputs))
    return answers, listed


@st.composite
def two_histories(draw: st.DrawFn) -> tuple[Any, Any, Any, Counter[bytes], int]:
    callbacks = draw(st.lists(a_callback(), min_size=1, max_size=7))
    for original in draw(st.lists(st.sampled_from(callbacks), max_size=2)):
        callbacks.append({**original, "callback_ref_uid": draw(st.sampled_from(["a", "z"]))})
    answers, listed = draw(a_telling())
    histories = []
    for _ in range(2):
        entries: list[bytes | Arrival] = [
            spelled(body, draw(st.integers(0, 3))) for body in callbacks
        ]
        order = draw(st.permutations([*entries, *answers]))
        batches: list[list[bytes | Arrival]] = [[]]
        for entry in order:
            batches[-1].append(entry)
            if draw(st.booleans()):
                batches.append([])
        histories.append(batches)
    return callbacks, histories[0], histories[1], listed, draw(st.integers(0, 2**16))


@settings(max_examples=examples(20), **PROFILE)
@given(two_histories())
def test_any_order_of_callbacks_and_answers_ends_the_same(
    histories: tuple[Any, Any, Any, Counter[bytes], int],
) -> None:
    callbacks, one, other, listed, seed = histories
    first = outcome("sqlite", one, None)
    assert first == outcome("sqlite", other, seed)
    assert results_of_run(first["results"]) == results_of_run(expected_results(callbacks)) | listed


@settings(max_examples=examples(5), **PROFILE)
@given(two_histories())
def test_both_stores_are_told_the_same(
    histories: tuple[Any, Any, Any, Counter[bytes], int],
) -> None:
    _, one, other, _, seed = histories
    postgres()
    assert outcome("postgres", one, seed) == outcome("sqlite", other, None)


def results_of_run(results: Sequence[tuple[str, bytes]]) -> Counter[bytes]:
    return Counter(result for run, result in results if run == RUN)


def test_what_a_conflict_takes_back_counts_again_where_edges_lists_it() -> None:
    one, other = {"id": 1}, {"id": 2}
    walk = answer("o:0", Source.OUTPUTS, [one], EARLY_MS, walk="w", page=0, began_ms=EARLY_MS)
    first = callback("c1", run=RUN, results=(one,))
    longer = callback("c1", run=RUN, results=(other, other))
    for seed in (7, 50, 132):  # each projected by itself, and nothing rebuilt at the end
        state = outcome("sqlite", [[spelled(first, 0)], [walk], [spelled(longer, 0)]], seed)
        assert results_of_run(state["results"]) == Counter({canonical(one): 1, canonical(other): 2})


def test_a_callback_of_an_input_that_has_a_twin_is_not_forgotten() -> None:
    """Asked for by key and by alias at once, a stored row is one object."""
    row = {
        "input_data": {"linkedin_profile_url": "https://www.linkedin.com/in/row-1"},
        "custom_data": {"row_id": "row-1", "list": "leads"},
        "status": None,
        "output_count": 0,
    }
    first, second = (
        answer(
            f"p:{page}",
            Source.INPUTS,
            [row | {"uid": f"uid-{page}"}],
            EARLY_MS + page,
            walk="w",
            page=page,
            began_ms=EARLY_MS,
            next_url="https://edges/?page=9",
        )
        for page in (1, 2)
    )
    came = spelled(callback("c1", run=RUN, row="row-1", results=({"id": 1},)), 0)
    due = outcome("sqlite", [[came, first, second]], None)
    for seed in range(10):
        assert outcome("sqlite", [[first], [came, second]], seed) == due
