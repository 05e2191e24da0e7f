"""How many requests a workspace may still send to the Edges API: pure, from what was told.

Edges gives each workspace a number of requests to the minute, which slides along with now,
and tells with its answers how many are left. Others of the workspace spend from the same
budget, so what is told counts for more than what was counted here. Nothing here sleeps or
reads a clock, and the state is one small value, so that it can live in a row that replicas
share. `take` asks to send a request, `learn` takes in what came of it.
"""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import takewhile
from typing import Final, NamedTuple

import msgspec

WINDOW_S: Final = 60.0
RESERVE_SHARE: Final = 0.1
"""Of the limit, left to the user's own use of the API; at least one request is."""

RETRY_AFTER_MAX_S: Final = 3600.0
"""A longer `Retry-After` is taken for this: a slip of the provider must not stop us for a day."""

_REMAINING_MAX: Final = 1_000_000
_BACKOFF_FIRST_S: Final = 1.0
_BACKOFF_MAX_S: Final = 60.0
# Spent requests are counted by the half second, which bounds the state to some 120 counts.
_GRAIN_S: Final = 0.5
# Longer than any request may take: after it, whoever sent it is gone.
_IN_FLIGHT_MAX_S: Final = 120.0
_IN_FLIGHT_POLL_S: Final = 1.0
# How long the first request of all keeps others waiting for what its answer tells.
_FIRST_ANSWER_S: Final = 2.0
# What was told so long ago says nothing any more.
_FORGET_S: Final = 600.0
# A plan may change: the limit is the largest seen in this period and the one before it.
_LIMIT_PERIOD_S: Final = 300.0


class Told(NamedTuple):
    """What an answer told. `remaining` and `retry_after_s` are None where it was silent."""

    ticket: int
    """Which request it answers: the state's `tickets` when it was taken."""
    status: int
    """Of HTTP; 0 if there was no answer."""
    remaining: int | None = None
    retry_after_s: float | None = None


class InFlight(NamedTuple):
    """A request that was taken and of which nothing was learned yet."""

    ticket: int
    sent_s: float
    answered_before: int
    """How many had been answered when it was sent: those that its answer surely counts in."""


class Spent(NamedTuple):
    """Requests that were answered in the same half second."""

    until_s: float
    """When the last of them was answered, rounded up: Edges counted them before that."""
    since_s: float
    """When the first of them was sent: Edges counted them after that."""
    requests: int


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known. Times are seconds of any clock, the same one in all calls."""

    tickets: int = 0
    """Requests taken so far; also the ticket of the last one."""
    answered: int = 0
    """How many of them were answered, or have failed."""
    in_flight: tuple[InFlight, ...] = ()
    spent: tuple[Spent, ...] = ()
    """Of the last minute, oldest first."""
    left: int | None = None
    """Requests that Edges would still take, at the least; None as long as nothing was told."""
    is_silent: bool = False
    """Whether Edges has answered without telling anything, so that there may be no limit."""
    told_ticket: int = 0
    told_s: float = 0.0
    limit_seen: int = 0
    limit_before: int = 0
    limit_since_s: float = 0.0
    blocked_until_s: float = 0.0
    backoff_s: float = 0.0
    backoff_ticket: int = 0
    """The last ticket that was out when the wait was last doubled."""
    probe_s: float = 0.0
    """From when one request may go to find out, although none is known to be left."""
    recheck_s: float | None = None
    """Likewise, where by our own count there is room: what was told may have been too early."""
    last_sent_s: float = 0.0
    spread_until_s: float = 0.0
    """Until then requests keep a distance, since the budget was used up."""

    @property
    def limit(self) -> int:
        """Requests to the minute, as far as seen; 0 as long as nothing was."""
        return max(self.limit_seen, self.limit_before)

    def to_json(self) -> str:
        """For a row that is shared."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "BudgetState":
        """What `to_json` wrote. Raises msgspec.ValidationError or DecodeError for other texts."""
        return msgspec.json.decode(text, type=cls)


def reserve(limit: int, share: float = RESERVE_SHARE) -> int:
    """Requests of `limit` that are left to others."""
    return max(1, int(limit * share))


def take(
    state: BudgetState, now_s: float, *, reserve_share: float = RESERVE_SHARE
) -> tuple[BudgetState, float]:
    """Ask to send a request: the state afterwards, and the seconds to wait before asking again.

    0.0 means that the request is taken, and its ticket is the new state's `tickets`.
    Whoever is told to wait has taken nothing; what is learned meanwhile may shorten it.
    """
    state = _settled(state, now_s)
    at_s = state.blocked_until_s
    is_probe = False
    if state.left is None:
        if state.in_flight and not state.is_silent:
            at_s = max(at_s, state.last_sent_s + _FIRST_ANSWER_S)
    else:
        kept = reserve(state.limit, reserve_share)
        if state.left > kept:
            if now_s < state.spread_until_s:
                at_s = max(at_s, state.last_sent_s + WINDOW_S / max(1, state.limit - kept))
        else:
            at_s = max(at_s, _free_s(state, now_s, kept))
            if state.left + len(state.in_flight) <= kept:  # whatever their answers will tell
                state = _with(state, spread_until_s=now_s + 2 * WINDOW_S)
            is_probe = True
    if at_s > now_s:
        return state, at_s - now_s
    if is_probe:
        state = _with(state, probe_s=now_s + WINDOW_S, recheck_s=None)
    ticket = state.tickets + 1
    return _with(
        state,
        tickets=ticket,
        in_flight=(*state.in_flight, InFlight(ticket, now_s, state.answered)),
        left=None if state.left is None else state.left - 1,
        last_sent_s=now_s,
    ), 0.0


def learn(state: BudgetState, now_s: float, told: Told) -> BudgetState:
    """The state once a request was answered, or has failed."""
    state = _settled(state, now_s)
    flight = next((one for one in state.in_flight if one.ticket == told.ticket), None)
    is_refused = told.status == 429
    if flight is None:  # given up for lost
        return _blocked(state, now_s, told) if is_refused else state
    # What was refused is not counted, as far as is known; else the next answer will tell.
    state = _answered(state, flight, now_s, is_counted=not is_refused)
    if is_refused:
        state = _blocked(state, now_s, told)
    elif 200 <= told.status < 500:
        is_silent = state.is_silent or told.remaining is None
        state = _with(state, backoff_s=0.0, is_silent=is_silent)
    remaining = 0 if is_refused else told.remaining
    if remaining is None or told.ticket < state.told_ticket:
        return state
    # All others that were under way beside it may have been counted after this answer was made.
    unsure = state.tickets - 1 - flight.answered_before
    unsure_answered = state.answered - 1 - flight.answered_before
    # The first of these may be out of the minute already in what was told, and must not be given
    # back again; when the last of them is out it is worth another look.
    kept = tuple(one for one in state.spent if one.since_s + WINDOW_S > now_s)
    recheck_s = state.recheck_s if now_s < (state.recheck_s or 0.0) else None
    if len(kept) < len(state.spent):
        recheck_s = state.spent[-len(kept) - 1].until_s + WINDOW_S
    counted = max(0, sum(one.requests for one in kept) - unsure_answered)
    return _with(
        _limit_seen(state, now_s, remaining + counted),
        spent=kept,
        left=remaining - unsure,
        told_ticket=told.ticket,
        told_s=now_s,
        probe_s=state.blocked_until_s if is_refused else now_s + WINDOW_S,
        recheck_s=recheck_s,
    )


def read_headers(ticket: int, status: int, headers: Mapping[str, str], wall_s: float) -> Told:
    """What an answer's headers tell; names in lower case, or a mapping that ignores case.

    `wall_s` is Unix time, for a `Retry-After` that is a date. What makes no sense is as if absent.
    """
    remaining = headers.get("x-ratelimit-remaining", "").strip()
    return Told(
        ticket,
        status,
        min(int(remaining[:12]), _REMAINING_MAX) if remaining.isdecimal() else None,
        read_retry_after(headers.get("retry-after"), wall_s),
    )


def read_retry_after(value: str | None, wall_s: float) -> float | None:
    """Seconds that a `Retry-After` asks for, from 0 to `RETRY_AFTER_MAX_S`; None if it is none.

    It is a number of seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            wait_s = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - wall_s
        except (ValueError, OverflowError):
            return None
    if math.isnan(wait_s):
        return None
    return min(max(0.0, wait_s), RETRY_AFTER_MAX_S)


def _with(state: BudgetState, **changes: object) -> BudgetState:
    return msgspec.structs.replace(state, **changes)


def _settled(state: BudgetState, now_s: float) -> BudgetState:
    """The state with all that time alone has changed."""
    if state.last_sent_s > now_s + WINDOW_S:  # the clock was set back: nothing here holds
        return BudgetState(tickets=state.tickets, answered=state.tickets)
    for lost in takewhile(lambda one: one.sent_s + _IN_FLIGHT_MAX_S <= now_s, state.in_flight):
        state = _answered(state, lost, now_s, is_counted=True)
    out = list(takewhile(lambda one: one.until_s + WINDOW_S <= now_s, state.spent))
    if out:
        freed = sum(one.requests for one in out)
        state = _with(
            state,
            spent=state.spent[len(out) :],
            left=None if state.left is None else state.left + freed,
        )
    if state.left is not None and state.told_s + _FORGET_S <= now_s:
        state = _with(state, left=None, is_silent=False, limit_seen=0, limit_before=0)
    return state


def _answered(
    state: BudgetState, flight: InFlight, now_s: float, *, is_counted: bool
) -> BudgetState:
    """The state with a request out of flight, and in the minute if Edges may have counted it."""
    state = _with(
        state,
        answered=state.answered + 1,
        in_flight=tuple(one for one in state.in_flight if one.ticket != flight.ticket),
    )
    if not is_counted:
        return state
    until_s = (now_s // _GRAIN_S + 1) * _GRAIN_S
    spent = state.spent
    if spent and spent[-1].until_s >= until_s:
        last = spent[-1]
        added = Spent(last.until_s, min(last.since_s, flight.sent_s), last.requests + 1)
        spent = (*spent[:-1], added)
    else:
        spent = (*spent, Spent(until_s, flight.sent_s, 1))
    return _with(state, spent=spent)


def _blocked(state: BudgetState, now_s: float, told: Told) -> BudgetState:
    """The state after a refusal: as long as was asked for, else twice as long as last time."""
    wait_s = told.retry_after_s
    if wait_s is None:
        if told.ticket <= state.backoff_ticket:  # sent before we knew: refused for the same reason
            return state
        wait_s = min(_BACKOFF_MAX_S, max(_BACKOFF_FIRST_S, 2 * state.backoff_s))
        state = _with(state, backoff_s=wait_s, backoff_ticket=state.tickets)
    return _with(state, blocked_until_s=max(state.blocked_until_s, now_s + wait_s))


def _limit_seen(state: BudgetState, now_s: float, limit: int) -> BudgetState:
    if now_s < state.limit_since_s + _LIMIT_PERIOD_S:
        return _with(state, limit_seen=max(state.limit_seen, limit))
    return _with(state, limit_seen=limit, limit_before=state.limit_seen, limit_since_s=now_s)


def _free_s(state: BudgetState, now_s: float, kept: int) -> float:
    """When there will be one more than `kept`, as our requests leave the minute; or one may probe.

    Told to wait for the answers of requests in flight, callers ask again after a second.
    """
    left, free_s = state.left or 0, float("inf")
    for one in state.spent:
        left += one.requests
        if left > kept:
            free_s = one.until_s + WINDOW_S
            break
    probe_s = state.probe_s
    ours = sum(one.requests for one in state.spent) + len(state.in_flight)
    if state.recheck_s is not None and state.limit - ours > kept:
        probe_s = min(probe_s, max(state.recheck_s, state.blocked_until_s))
    if state.in_flight:
        probe_s = max(probe_s, now_s + _IN_FLIGHT_POLL_S)
    return min(free_s, probe_s)
