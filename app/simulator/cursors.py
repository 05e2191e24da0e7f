"""The cursors of one run's lists: places in a walk over pages, good for as long as they are."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from dataclasses import dataclass

from app.simulator.clock import Clock
from app.simulator.errors import EdgesError
from app.simulator.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a walk goes on, and how many pages of it came before."""

    page_count: int
    place: tuple[int, ...]


class Cursors:
    """Makes cursors and reads them back. What a cursor says is in its text."""

    def __init__(self, scenario: Scenario, clock: Clock) -> None:
        self._scenario = scenario
        self._clock = clock
        self._generation = 0
        self._uses: Counter[str] = Counter()

    def made(self, cursor: Cursor) -> str:
        """The text of a cursor."""
        made_at_ms = int(self._clock.now_s() * 1_000)
        parts = (self._generation, made_at_ms, cursor.page_count, *cursor.place)
        return urlsafe_b64encode(".".join(map(str, parts)).encode()).decode()

    def read(self, text: str, places: int) -> Cursor:
        """The cursor that the text was made of.

        Raises EdgesError (400) for one that was not made here, and for one that has expired.
        """
        try:
            parts = tuple(int(part) for part in urlsafe_b64decode(text).decode().split("."))
        except ValueError:
            parts = ()
        if len(parts) != 3 + places or min(parts) < 0:
            raise _refusal("The cursor is not valid.")
        generation, made_at_ms, page_count, *place = parts
        if self._has_expired(text, generation, made_at_ms):
            raise _refusal("The cursor has expired.")
        return Cursor(page_count, tuple(place))

    def expire(self) -> None:
        """Have all cursors made so far be refused."""
        self._generation += 1
        self._uses.clear()

    def _has_expired(self, text: str, generation: int, made_at_ms: int) -> bool:
        if generation != self._generation:
            return True
        lifetime_s, uses_max = self._scenario.cursor_lifetime_s, self._scenario.cursor_uses_max
        if lifetime_s is not None and self._clock.now_s() - made_at_ms / 1_000 > lifetime_s:
            return True
        if uses_max is None:
            return False
        self._uses[text] += 1
        return self._uses[text] > uses_max


def _refusal(message: str) -> EdgesError:
    return EdgesError("BAD_PARAMETERS", message, parameter="cursor")
