"""How many examples are tried: in the usual run some, in `make soak` as many as time allows."""

import os

SOAK = int(os.environ.get("COLLECTOR_SOAK", "0"))
"""How many of each, where `make soak` asks for it; else 0."""


def examples(usual: int) -> int:
    """`usual` of them, unless it is for `make soak` to say how many."""
    return SOAK or usual
