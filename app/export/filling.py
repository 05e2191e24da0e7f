"""Filling: what one result lacks is taken from later ones about the same."""

from collections.abc import Iterable
from functools import reduce

from app.canonical import Json


def filled(first: dict[str, Json], later: dict[str, Json]) -> dict[str, Json]:
    """`first`, with what it lacks of `later`: fields that it has not, or that are null.

    Objects are filled field by field. A list is a value, also an empty one: it stays as it is.
    """
    found = dict(first)
    for key, value in later.items():
        if value is None:
            continue
        known = found.get(key)
        if known is None:
            found[key] = value
        elif known.__class__ is dict and value.__class__ is dict:
            found[key] = filled(known, value)
    return found


def filled_by(first: dict[str, Json], more: Iterable[dict[str, Json]]) -> dict[str, Json]:
    """`first`, filled with one after another."""
    return reduce(filled, more, first)
