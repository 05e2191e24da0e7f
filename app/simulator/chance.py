"""Chance from a seed: the same question always has the same answer, asked in any order."""

from hashlib import blake2b
from random import Random

_SPAN = float(1 << 53)


def draw(seed: int, purpose: str, *at: int) -> float:
    """A number in [0, 1), fixed by the seed, the purpose and the place it is drawn for."""
    return (_bits(seed, purpose, at) >> 11) / _SPAN


def happens(share: float, seed: int, purpose: str, *at: int) -> bool:
    """Whether it happens here, as it does in `share` of the places."""
    return share > 0 and draw(seed, purpose, *at) < share


def draw_between(bounds: tuple[int, int], seed: int, purpose: str, *at: int) -> int:
    """A whole number within the bounds, both included."""
    lowest, highest = bounds
    if lowest == highest:
        return lowest
    return lowest + int(draw(seed, purpose, *at) * (highest - lowest + 1))


def stream(seed: int, purpose: str, *at: int) -> Random:
    """A generator for many draws at one place."""
    return Random(_bits(seed, purpose, at))  # noqa: S311 (a simulation, not a secret)


def uid(*of: object) -> str:
    """A UUID (shaped as version 4) that is fixed by what it names."""
    digits = blake2b("/".join(map(str, of)).encode(), digest_size=16).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _bits(seed: int, purpose: str, at: tuple[int, ...]) -> int:
    name = f"{seed}/{purpose}/{at}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")
