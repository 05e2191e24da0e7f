"""Which results of `/outputs` count beside those that callbacks brought: a pure decision.

A run's results are a multiset of digests. Callbacks are one count of it, a complete walk
over `/outputs` is another; of each digest, the larger number is true. So the n-th one that
is listed counts if callbacks brought fewer than n. Several walks list the same results
again, unless Edges begins a new list with each continuation: those add up.
"""

from collections.abc import Iterable, Sequence

from app.listed import beyond, by_walk, digests_of
from app.proof import generation_of, is_reset
from app.store.rows import OutputPage, Recounted
from app.told import Told


def recount(
    told: Told, results: int, pages: Iterable[OutputPage], by_callbacks: Iterable[bytes]
) -> Recounted:
    """Which listed results count, `results` being those that callbacks brought.

    `pages` are those of all walks, by walk and page; `by_callbacks` has the digests of each
    callback that counts, end to end. Notes in `told` how many count, and whether lists
    begin anew with each generation.
    """
    walks = _complete_walks(told, pages)
    brought = _brought(walks, by_callbacks)
    counted = beyond([[page for walk in walks for page in walk]], brought)
    told.is_reset = is_reset(told, results + _bits(counted))
    if told.is_reset:
        counted = beyond(_by_generation(told, walks), brought)
    told.from_outputs = _bits(counted)
    told.outputs_no += 1
    return Recounted({place: bits for place, bits in counted.items() if any(bits)})


Walked = list[OutputPage]


def _complete_walks(told: Told, pages: Iterable[OutputPage]) -> list[Walked]:
    """The pages of each walk that has all of them, oldest walk first."""
    complete = {uid for uid, walk in told.walks.items() if walk.is_complete}
    return [walk for uid, walk in by_walk(pages) if uid in complete]


def _by_generation(told: Told, walks: Sequence[Walked]) -> list[Walked]:
    groups: dict[int, Walked] = {}
    for walk in walks:
        generation = generation_of(told.walks[walk[0].walk_uid], told)
        groups.setdefault(generation, []).extend(walk)
    return [groups[generation] for generation in sorted(groups)]


def _brought(walks: Sequence[Walked], by_callbacks: Iterable[bytes]) -> dict[bytes, int]:
    """How many of each digest that is listed callbacks brought."""
    brought = {one: 0 for walk in walks for page in walk for one in digests_of(page.digests)}
    for joined in by_callbacks:
        for one in digests_of(joined):
            if one in brought:
                brought[one] += 1
    return brought


def _bits(counted: dict[tuple[str, int], bytes]) -> int:
    return sum(int.from_bytes(bits, "little").bit_count() for bits in counted.values())


def has_any(wanted: set[bytes], pages: Iterable[OutputPage]) -> bool:
    """Whether any of these digests is among those that count on these pages."""
    return any(not wanted.isdisjoint(digests_of(page.digests)) for page in pages if page.counted)
