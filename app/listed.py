"""Walks over a run's `/outputs` as counts of its results: a pure decision.

Results are told apart by digest, 16 bytes each. Within a group of walks each lists again what
the one before it listed; groups, which are generations of a run, add up.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol, TypeVar

DIGEST_BYTES = 16


class ListedPage(Protocol):
    """A page of a walk."""

    @property
    def walk_uid(self) -> str: ...  # noqa: D102 - as in `app.store.rows.OutputPage`
    @property
    def page(self) -> int: ...  # noqa: D102
    @property
    def digests(self) -> bytes: ...  # noqa: D102


Page = TypeVar("Page", bound=ListedPage)


def digests_of(joined: bytes) -> list[bytes]:
    """Digests that stand end to end, one by one."""
    return [joined[at : at + DIGEST_BYTES] for at in range(0, len(joined), DIGEST_BYTES)]


def by_walk(pages: Iterable[Page]) -> Iterable[tuple[str, list[Page]]]:
    """The pages of each walk in order, by walk uid, which is also by age."""
    ordered = sorted(pages, key=lambda page: (page.walk_uid, page.page))
    for uid, walk in groupby(ordered, key=lambda page: page.walk_uid):
        yield uid, list(walk)


def beyond(
    groups: Sequence[Sequence[ListedPage]], known: Mapping[bytes, int]
) -> dict[tuple[str, int], bytes]:
    """A bit for each result of each page: whether it is one more than are `known` of its digest.

    The first ones that are listed stand for those that are known. By walk uid and page; of a
    page, the first result has the lowest bit.
    """
    bits_of: dict[tuple[str, int], bytes] = {}
    earlier: dict[bytes, int] = {}  # listed by groups before
    for group in groups:
        listed: dict[bytes, int] = {}  # at most, by a walk of this group
        for _, walk in groupby(group, key=lambda page: page.walk_uid):
            seen: dict[bytes, int] = {}
            for page in walk:
                bits = 0
                for place, one in enumerate(digests_of(page.digests)):
                    number = seen[one] = seen.get(one, 0) + 1
                    if number > listed.get(one, 0):
                        listed[one] = number
                        if earlier.get(one, 0) + number > known.get(one, 0):
                            bits |= 1 << place
                size = (len(page.digests) // DIGEST_BYTES + 7) // 8
                bits_of[page.walk_uid, page.page] = bits.to_bytes(size, "little")
        for one, number in listed.items():
            earlier[one] = earlier.get(one, 0) + number
    return bits_of


def listed(groups: Sequence[Sequence[ListedPage]]) -> dict[bytes, int]:
    """How many of each digest the groups list."""
    total: dict[bytes, int] = {}
    for group in groups:
        most: dict[bytes, int] = {}
        for _, walk in groupby(group, key=lambda page: page.walk_uid):
            seen: dict[bytes, int] = {}
            for page in walk:
                for one in digests_of(page.digests):
                    seen[one] = seen.get(one, 0) + 1
            for one, number in seen.items():
                most[one] = max(most.get(one, 0), number)
        for one, number in most.items():
            total[one] = total.get(one, 0) + number
    return total
