"""The few kinds of draws that results are made with, over one stream of chance."""

from collections.abc import Sequence
from typing import TypeVar

from app.simulator.chance import stream

T = TypeVar("T")

# A prime beyond every serial, and a factor to scatter them with: a permutation, so that
# no two entities share an id by accident.
_ENTITIES_MAX = 100_000
_PRIME = 10_000_000_019
_FACTOR = 7_390_560_023


def serial_of(seed: int, input_index: int, entity: int) -> int:
    """A number that no other entity of a run has; 10 or 11 digits."""
    return ((input_index * _ENTITIES_MAX + entity) * _FACTOR + seed) % _PRIME + 1_000_000_000


class Draws:
    """Chance for one entity: the `entity`-th of the `input_index`-th input."""

    def __init__(self, seed: int, input_index: int, entity: int) -> None:
        self._random = stream(seed, "entity", input_index, entity).random
        self.serial = serial_of(seed, input_index, entity)

    def happens(self, share: float) -> bool:
        """True in `share` of the cases."""
        return self._random() < share

    def number(self, lowest: int, highest: int) -> int:
        """A whole number within the bounds, both included."""
        return lowest + int(self._random() * (highest - lowest + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[int(self._random() * len(choices))]

    def several(self, choices: Sequence[T], lowest: int, highest: int) -> list[T]:
        """Some neighbours among the choices, so that none comes twice."""
        start, count = self.number(0, len(choices) - 1), self.number(lowest, highest)
        return [choices[(start + step) % len(choices)] for step in range(count)]

    def date(self, first_year: int, last_year: int) -> str:
        """A date as YYYY-MM-DD."""
        year, month, day = self.number(first_year, last_year), self.number(1, 12), 28
        return f"{year}-{month:02}-{self.number(1, day):02}"

    def moment(self, first_year: int, last_year: int) -> str:
        """A moment in RFC 3339, UTC."""
        clock = f"{self.number(0, 23):02}:{self.number(0, 59):02}:{self.number(0, 59):02}"
        return f"{self.date(first_year, last_year)}T{clock}.000Z"


def base36(number: int) -> str:
    """The number in digits and lower-case letters."""
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"
