"""Answers that many open pages ask for: worked out once in a while, for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, NamedTuple

FRESH_S_MIN = 2.0
FRESH_TIMES = 20
"""An answer is good for so many times as long as it took, so that little of the time goes there."""

ANSWERS_MAX = 200


class _Answer(NamedTuple):
    task: asyncio.Task[Any]
    asked_s: float


class SharedAnswers:
    """The latest answers by what was asked. Only for what every reader may see alike."""

    def __init__(self) -> None:
        self._answers: dict[object, _Answer] = {}
        self._took_s: dict[object, float] = {}

    async def get(self, asked: object, work_out: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to `asked`: one of a moment ago, or what `work_out` gives now.

        Whoever asks meanwhile waits for the same. Raises what `work_out` does, which is not kept.
        """
        known = self._answers.get(asked)
        if known is None or self._is_old(asked, known):
            self._forget_old()
            known = _Answer(asyncio.ensure_future(self._timed(asked, work_out)), monotonic())
            self._answers[asked] = known
        # Who goes away while it is worked out does not take it from the others.
        return await asyncio.shield(known.task)

    async def _timed(self, asked: object, work_out: Callable[[], Awaitable[Any]]) -> Any:
        began_s = monotonic()
        answer = await work_out()
        self._took_s[asked] = monotonic() - began_s
        return answer

    def _forget_old(self) -> None:
        """They may hold what is erased by now; and of the others only so many are kept."""
        old = [asked for asked, known in self._answers.items() if self._is_old(asked, known)]
        left = [asked for asked in self._answers if asked not in old]
        for asked in old + left[: max(0, len(left) + 1 - ANSWERS_MAX)]:
            del self._answers[asked]
            self._took_s.pop(asked, None)

    def _is_old(self, asked: object, known: _Answer) -> bool:
        if not known.task.done():
            return False
        if known.task.cancelled() or known.task.exception() is not None:
            return True
        fresh_s = max(FRESH_S_MIN, FRESH_TIMES * self._took_s.get(asked, 0.0))
        return monotonic() - known.asked_s > fresh_s
