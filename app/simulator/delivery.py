"""One run on its way: its pages are made, and its callbacks sent, at the scenario's pace."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from app.simulator.callback import REPLAYS_MAX, Callback
from app.simulator.chance import uid
from app.simulator.errors import EdgesError
from app.simulator.fate import Fate, fate_of
from app.simulator.run import UNFINISHED, Run
from app.simulator.sending import Sender
from app.simulator.sequence import CallbackSequence

# Callbacks that wait out their delay at the same time, at most.
_DELAYED_MAX: Final = 10_000
# Pages made without a pause for others, where none has to be sent.
_UNSENT_STRIDE: Final = 100
# Behind the pace by less than this, sleeping would cost more than it smooths.
_PACE_GRAIN_S: Final = 0.002
_LOST: Final = "The payload of this callback is no longer available."


@dataclass(slots=True)
class Counts:
    """What has been sent, for the control plane. Replays count as attempts only."""

    sent: int = 0
    """Callbacks with at least one attempt."""
    delivered: int = 0
    dropped: int = 0
    withheld: int = 0
    given_up: int = 0
    attempts: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Sending:
    """A callback that is due; a duplicate has no say in the callback's record."""

    callback: Callback
    is_duplicate: bool = False


def _record_as_sent(callback: Callback) -> None:
    callback.status, callback.http_status, callback.http_response = "SUCCESS", 200, ""
    callback.failure = None


def _takes_room(sending: Sending) -> bool:
    """Whether it is a callback's first attempt: only those hold back the making of more."""
    callback = sending.callback
    return not sending.is_duplicate and callback.original is None and callback.attempt_count == 0


class Delivery:
    """Makes and sends the callbacks of one run, until it is settled or stopped."""

    def __init__(self, run: Run, sender: Sender, register: Callable[[Callback], None]) -> None:
        """`register` is told of every callback that comes to be."""
        self._run = run
        self._scenario = run.launch.scenario
        self._target = run.launch.callback
        self._sender = sender
        self._register = register
        self.callbacks: list[Callback] = []
        """Their records, oldest first, replays included."""
        self.counts = Counts()
        self._due: deque[Sending] = deque()
        self._held: deque[Sending] = deque()  # what a stop overtook; goes first after a resume
        self._sequence = CallbackSequence(run, self._record)
        self._under_way = 0
        self._sending = 0
        has_delay = self._scenario.delay_s[1] > 0
        self._room = asyncio.Semaphore(_DELAYED_MAX if has_delay else self._scenario.concurrency)
        self._making: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_at = 0.0
        self._is_closed = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is sent unless someone asks for it."""
        is_making = self._making is not None and not self._making.done()
        return not is_making and self._under_way == 0 and self._run.status != "CREATED"

    def start(self) -> None:
        """Begin, or go on after a resume or a continue."""
        if self._making is None or self._making.done():
            self._making = self._spawn(self._make())

    async def close(self) -> None:
        """Stop at once, and wait until all tasks have ended."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def replay(self, original: Callback) -> Callback:
        """Send a callback once more, under a record of its own; its fate is to be sent.

        One that is withheld comes to nothing. Raises EdgesError for a replay of a replay,
        for the fourth of an original, and for a withheld one where the scenario refuses it.
        """
        if original.original is not None:
            raise EdgesError("BAD_PARAMETERS", "Only original callbacks can be replayed.")
        if original.replay_count >= REPLAYS_MAX:
            raise EdgesError(
                "BAD_PARAMETERS",
                f"A callback can be replayed {REPLAYS_MAX} times.",
                max=REPLAYS_MAX,
            )
        if original.is_withheld and self._scenario.withheld_replay == "refused":
            raise EdgesError("BAD_PARAMETERS", _LOST)
        original.replay_count += 1
        again = Callback(
            uid=uid(original.uid, "replay", original.replay_count),
            run=self._run,
            page=original.page,
            ordinal=original.ordinal,
            created_at=self._run.clock.now(),
            original=original,
        )
        self._record(again)
        if again.is_withheld:
            # Later, so that the answer to the request does not know yet.
            asyncio.get_running_loop().call_soon(self._withhold, again)
        else:
            self._expect(Sending(again), 0)
        return again

    # Making pages, in order and at the pace.

    async def _make(self) -> None:
        await asyncio.sleep(0)  # so that the answer to the launch still says CREATED
        stride = 0
        while self._is_going_on() or self._sequence.has_begun_block:
            if self._run.status == "STOPPED":
                return
            if self._held:
                held = self._held.popleft()
                if _takes_room(held):
                    await self._room.acquire()
                self._expect(held, 0)
                continue
            await self._keep_pace()
            if self._run.status == "STOPPED":
                continue
            callback = self._sequence.next()
            if callback is not None:
                await self._dispatch(callback)
            stride += 1
            if stride % _UNSENT_STRIDE == 0:
                await asyncio.sleep(0)

    def _is_going_on(self) -> bool:
        return self._run.status in UNFINISHED or bool(self._held)

    def _record(self, callback: Callback) -> None:
        self.callbacks.append(callback)
        self._register(callback)

    async def _keep_pace(self) -> None:
        rate = self._scenario.callbacks_per_second
        if rate is None:
            return
        now = asyncio.get_running_loop().time()
        self._next_at = max(self._next_at, now - 1 / rate)
        if self._next_at - now > _PACE_GRAIN_S:
            await asyncio.sleep(self._next_at - now)
        self._next_at += 1 / rate

    # From a callback to its attempts.

    async def _dispatch(self, callback: Callback) -> None:
        fate = fate_of(self._scenario, callback.ordinal)
        if callback.is_withheld:
            self.counts.withheld += 1
            self._withhold(callback)
            if fate.is_recorded_as_sent:
                _record_as_sent(callback)
            return
        if fate.is_dropped:
            self._drop(callback, fate)
            return
        await self._room.acquire()
        self._expect(Sending(callback), fate.delay_s)
        if fate.is_duplicated:
            self._expect(Sending(callback, is_duplicate=True), fate.duplicate_delay_s)

    def _drop(self, callback: Callback, fate: Fate) -> None:
        self.counts.dropped += 1
        callback.attempt_count = 1
        if fate.is_recorded_as_sent:
            callback.loss = "lied"
            _record_as_sent(callback)
        else:
            callback.loss = "dropped"
            callback.status, callback.failure = "FAILED", "ConnectError: connection refused"

    @staticmethod
    def _withhold(callback: Callback) -> None:
        callback.loss, callback.attempt_count = "withheld", 1
        callback.status, callback.failure = "FAILED", _LOST

    def _expect(self, sending: Sending, delay_s: float) -> None:
        self._under_way += 1
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._fall_due, sending)
        else:
            self._fall_due(sending)

    def _fall_due(self, sending: Sending) -> None:
        if self._is_closed:
            return
        self._due.append(sending)
        if self._sending < self._scenario.concurrency:
            self._sending += 1
            self._spawn(self._send_what_is_due())

    async def _send_what_is_due(self) -> None:
        try:
            while self._due:
                sending = self._due.popleft()
                is_original = sending.callback.original is None
                if is_original and self._run.status == "STOPPED":
                    self._hold(sending)
                else:
                    await self._attempt(sending)
                self._under_way -= 1
        finally:
            self._sending -= 1

    def _hold(self, sending: Sending) -> None:
        self._held.append(sending)
        if _takes_room(sending):
            self._room.release()

    async def _attempt(self, sending: Sending) -> None:
        callback, counts = sending.callback, self.counts
        target = self._target
        assert target is not None, "a callback came to be although there is no target"  # noqa: S101
        is_original = callback.original is None
        if not sending.is_duplicate:
            if _takes_room(sending):
                self._room.release()
                counts.sent += 1
            callback.attempt_count += 1
            callback.status = "RUNNING"
        counts.attempts += 1
        counts.duplicates += sending.is_duplicate
        attempt = await self._sender.send(
            target.url,
            target.headers,
            callback.body(),
            timeout_s=self._scenario.callback_timeout_s,
        )
        if sending.is_duplicate:
            return
        callback.http_status, callback.http_response = attempt.http_status, attempt.http_response
        callback.failure = attempt.failure
        if attempt.is_delivered:
            callback.status = "SUCCESS"
            counts.delivered += is_original
        elif callback.attempt_count <= self._scenario.retry_limit:
            callback.status = "PENDING"
            self._expect(sending, self._scenario.retry_delay_s)
        else:
            callback.status = "FAILED"
            counts.given_up += is_original

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=f"run {self._run.uid}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
