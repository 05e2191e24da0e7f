"""The budget's core against a simulated provider with a minute that slides along."""

import random
from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from app.budget import (
    RETRY_AFTER_MAX_S,
    WINDOW_S,
    BudgetState,
    Told,
    learn,
    read_headers,
    read_retry_after,
    reserve,
    take,
)

PLANS = (30, 60, 150, 300, 600)
DURATION_S = 300.0


@dataclass
class Provider:
    """Takes `limit` requests in any 60 seconds, and says how many are left."""

    limit: int
    taken_s: deque[float] = field(default_factory=deque)

    def ask(self, now_s: float) -> tuple[int, int]:
        """HTTP status and what is left."""
        while self.taken_s and self.taken_s[0] <= now_s - WINDOW_S:
            self.taken_s.popleft()
        if len(self.taken_s) >= self.limit:
            return 429, 0
        self.taken_s.append(now_s)
        return 200, self.limit - len(self.taken_s)

    def retry_after_s(self, now_s: float) -> int:
        return max(1, int(self.taken_s[0] + WINDOW_S - now_s) + 1)


@dataclass
class Played:
    """What came of a load that always has something to send."""

    accepted: int = 0
    refused_s: list[float] = field(default_factory=list)
    others_refused: int = 0
    state: BudgetState = field(default_factory=BudgetState)


def play(
    seed: int,
    limit: int,
    *,
    at_once: int = 4,
    latency_s: float = 0.3,
    reserve_share: float = 0.1,
    others_s: Sequence[float] = (),
    with_remaining: bool = True,
    with_retry_after: bool = True,
    duration_s: float = DURATION_S,
) -> Played:
    """Send as much as the budget lets us; `others_s` says when others of the workspace send.

    A request reaches the provider, and its answer us, after up to `latency_s` each.
    """
    chance = random.Random(seed)
    provider, played = Provider(limit), Played()
    # What happens next: (when, what, ticket), and the provider's answers that are on their way.
    ahead: list[tuple[float, str, int]] = [(at_s, "other", 0) for at_s in others_s]
    ahead = sorted([*ahead, *((0.0, "take", 0) for _ in range(at_once))])
    answers: dict[int, Told] = {}
    asked_to_wait_until_s = 0.0
    while ahead and ahead[0][0] < duration_s:
        now_s, what, ticket = ahead.pop(0)
        if what == "other":
            played.others_refused += provider.ask(now_s)[0] == 429
        elif what == "take":
            played.state, wait_s = take(played.state, now_s, reserve_share=reserve_share)
            if wait_s > 0:
                insort(ahead, (now_s + wait_s, "take", 0))
            else:
                assert now_s >= asked_to_wait_until_s
                arrives_s = now_s + chance.uniform(0, latency_s)
                insort(ahead, (arrives_s, "arrive", played.state.tickets))
        elif what == "arrive":
            status, remaining = provider.ask(now_s)
            is_refused = status == 429
            played.accepted += not is_refused
            if is_refused:
                played.refused_s.append(now_s)
            answers[ticket] = Told(
                ticket,
                status,
                remaining if with_remaining else None,
                provider.retry_after_s(now_s) if is_refused and with_retry_after else None,
            )
            insort(ahead, (now_s + chance.uniform(0, latency_s), "answer", ticket))
        else:
            told = answers.pop(ticket)
            if told.retry_after_s is not None:
                asked_to_wait_until_s = max(asked_to_wait_until_s, now_s + told.retry_after_s)
            played.state = learn(played.state, now_s, told)
            insort(ahead, (now_s, "take", 0))
    return played


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    limit=st.sampled_from(PLANS),
    at_once=st.integers(1, 8),
    latency_s=st.floats(0.0, 10.0),
    reserve_share=st.sampled_from((0.0, 0.1)),
)
def test_alone_it_never_exceeds_the_limit_however_late_answers_come(
    seed: int, limit: int, at_once: int, latency_s: float, reserve_share: float
) -> None:
    note(f"{seed=}")
    played = play(seed, limit, at_once=at_once, latency_s=latency_s, reserve_share=reserve_share)
    assert played.refused_s == []


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    limit=st.sampled_from(PLANS),
    at_once=st.integers(1, 8),
    slowness=st.floats(0.0, 1.0),
)
def test_alone_it_uses_nine_tenths_of_what_it_may(
    seed: int, limit: int, at_once: int, slowness: float
) -> None:
    """Of the limit, and of the limit less the reserve, where the latency leaves room for it."""
    note(f"{seed=}")
    latency_s = slowness * min(0.5, at_once * WINDOW_S / limit / 2)
    minutes = DURATION_S / WINDOW_S
    for reserve_share in (0.0, 0.1):
        played = play(
            seed, limit, at_once=at_once, latency_s=latency_s, reserve_share=reserve_share
        )
        usable = limit - reserve(limit, reserve_share) if reserve_share else limit
        assert played.accepted >= 0.9 * usable * minutes


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), limit=st.sampled_from(PLANS[:3]), at_once=st.integers(1, 8))
def test_nobody_is_refused_as_long_as_others_keep_to_the_reserve(
    seed: int, limit: int, at_once: int
) -> None:
    note(f"{seed=}")
    chance, others_s = random.Random(seed), list[float]()
    for at_s in sorted(chance.uniform(0, DURATION_S) for _ in range(200)):
        in_minute = sum(earlier_s > at_s - WINDOW_S for earlier_s in others_s)
        # Less than the reserve, for at first it is reckoned from less than the limit.
        if in_minute < reserve(limit) - 1 or not others_s:
            others_s.append(at_s)
    played = play(seed, limit, at_once=at_once, others_s=others_s)
    assert played.refused_s == []
    assert played.others_refused == 0


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    limit=st.sampled_from(PLANS[:3]),
    at_once=st.integers(1, 8),
    share=st.floats(0.2, 3.0),
    with_remaining=st.booleans(),
    with_retry_after=st.booleans(),
)
def test_others_who_take_what_they_please_cost_few_refusals_and_do_not_starve_it(
    seed: int,
    limit: int,
    at_once: int,
    share: float,
    *,
    with_remaining: bool,
    with_retry_after: bool,
) -> None:
    note(f"{seed=}")
    chance = random.Random(seed)
    others_s = sorted(
        chance.uniform(0, DURATION_S) for _ in range(int(share * limit * DURATION_S / WINDOW_S))
    )
    played = play(
        seed,
        limit,
        at_once=at_once,
        others_s=others_s,
        with_remaining=with_remaining,
        with_retry_after=with_retry_after,
    )
    # Each time it runs into the limit, all that are under way may be refused together.
    # What is free after the time that Retry-After names may be taken by others again.
    runs_into = DURATION_S if with_retry_after else 6 * DURATION_S / WINDOW_S
    assert len(played.refused_s) <= at_once * runs_into
    assert played.accepted >= 1
    if share <= 0.5:
        assert played.accepted >= 0.3 * limit * DURATION_S / WINDOW_S


def test_as_long_as_nothing_is_told_nothing_waits() -> None:
    state = BudgetState()
    for number in range(1000):
        now_s = number / 1000
        state, wait_s = take(state, now_s)
        assert wait_s == 0.0
        state = learn(state, now_s, Told(state.tickets, 200))
    assert state.left is None
    assert len(state.spent) <= 3


def test_the_first_answer_is_waited_for_but_not_for_long() -> None:
    state, _ = take(BudgetState(), 0.0)
    state, wait_s = take(state, 0.1)
    assert wait_s > 0
    told_nothing = learn(state, 0.2, Told(1, 200))
    for _ in range(100):
        told_nothing, wait_s = take(told_nothing, 0.2)
        assert wait_s == 0.0
    without_answer = learn(state, 0.2, Told(1, 0))
    without_answer, wait_s = take(without_answer, 0.2)
    assert wait_s == 0.0
    assert take(without_answer, 0.3)[1] > 0
    assert take(state, 2.0)[1] == 0.0


def under_way(count: int) -> BudgetState:
    """So many requests on their way, the first of them with ticket 2, at 0.0."""
    state, _ = take(BudgetState(), 0.0)
    state = learn(state, 0.0, Told(1, 200))
    for _ in range(count):
        state, wait_s = take(state, 0.0)
        assert wait_s == 0.0
    return state


def test_what_is_told_to_be_left_goes_at_once_but_for_the_reserve() -> None:
    state, _ = take(BudgetState(), 0.0)
    state = learn(state, 0.1, Told(1, 200, remaining=29))
    for _ in range(29 - reserve(30)):
        state, wait_s = take(state, 0.2)
        assert wait_s == 0.0
    state, wait_s = take(state, 0.2)
    assert wait_s > 0


def test_what_comes_back_after_a_minute_is_spread_over_the_next() -> None:
    now_s, state, taken_s = 0.0, BudgetState(), list[float]()
    provider = Provider(60)
    while now_s < 180:
        state, wait_s = take(state, now_s)
        if wait_s > 0:
            now_s += wait_s
            continue
        taken_s.append(now_s)
        status, remaining = provider.ask(now_s)
        state = learn(state, now_s, Told(state.tickets, status, remaining))
    second_minute = [at_s for at_s in taken_s if 60 <= at_s < 120]
    gaps = [later - earlier for earlier, later in pairwise(second_minute)]
    assert len(second_minute) >= 50
    assert min(gaps) >= 1.0


def test_without_retry_after_the_wait_doubles_up_to_a_minute_and_success_ends_it() -> None:
    state, now_s, waits_s = BudgetState(), 1000.0, list[float]()
    for _ in range(9):
        state, wait_s = take(state, now_s)
        assert wait_s == 0.0
        state = learn(state, now_s, Told(state.tickets, 429))
        state, wait_s = take(state, now_s)
        waits_s.append(wait_s)
        now_s += wait_s
    assert waits_s == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    state, _ = take(state, now_s)
    state = learn(state, now_s, Told(state.tickets, 200, remaining=20))
    state, wait_s = take(state, now_s)
    assert 0 < wait_s <= 60 / 10
    now_s += wait_s
    state, wait_s = take(state, now_s)
    assert wait_s == 0.0
    state = learn(state, now_s, Told(state.tickets, 429))
    assert state.backoff_s == 1


def test_refusals_of_requests_that_were_under_way_together_double_once() -> None:
    state = under_way(5)
    for ticket in range(2, 7):
        state = learn(state, 0.1, Told(ticket, 429))
    assert take(state, 0.1)[1] == 1.0


def test_an_answer_that_comes_late_does_not_raise_what_a_later_one_told() -> None:
    state = under_way(5)
    state = learn(state, 0.2, Told(6, 200, remaining=25))
    for ticket in range(2, 6):
        state = learn(state, 0.3, Told(ticket, 200, remaining=30 - ticket))
    assert state.left is not None
    assert state.left <= 25


def test_what_was_told_long_ago_is_forgotten() -> None:
    state, _ = take(BudgetState(), 0.0)
    state = learn(state, 0.0, Told(1, 429))
    state, wait_s = take(state, 700.0)
    assert wait_s == 0.0
    assert state.left is None


def test_a_clock_that_was_set_back_does_not_stop_us() -> None:
    state, _ = take(BudgetState(), 10_000.0)
    state = learn(state, 10_000.0, Told(1, 429, retry_after_s=60))
    state, wait_s = take(state, 100.0)
    assert wait_s == 0.0
    assert state.tickets == 2
    assert learn(state, 100.1, Told(2, 200, remaining=20)).left == 20


def test_a_request_that_nothing_is_heard_of_leaves_flight_in_the_end() -> None:
    state, _ = take(BudgetState(), 0.0)
    state, _ = take(state, 121.0)
    assert [one.ticket for one in state.in_flight] == [2]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), limit=st.sampled_from(PLANS))
def test_the_state_goes_through_json_and_stays_small(seed: int, limit: int) -> None:
    note(f"{seed=}")
    state = play(seed, limit, duration_s=90).state
    text = state.to_json()
    assert BudgetState.from_json(text) == state
    assert len(text) < 10_000


def test_headers_are_read_with_tolerance() -> None:
    assert read_headers(3, 200, {"x-ratelimit-remaining": " 17 "}, 0) == Told(3, 200, 17, None)
    for odd in ("", "-1", "many", "1.5"):
        assert read_headers(1, 200, {"x-ratelimit-remaining": odd}, 0).remaining is None
    assert read_headers(1, 429, {"retry-after": "7"}, 0).retry_after_s == 7


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", RETRY_AFTER_MAX_S),
        ("-5", 0),
        ("1.5", 1.5),
        ("1e9", RETRY_AFTER_MAX_S),
        (formatdate(1_790_000_030, usegmt=True), 30),
        (formatdate(1_789_000_000, usegmt=True), 0),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, wait_s: float | None) -> None:
    assert read_retry_after(value, 1_790_000_000) == wait_s
