"""How this process treats memory that is garbage."""

import gc

GENERATION_0_OBJECTS = 50_000


def collect_rarely() -> None:
    """Look for cycles rarely: this code makes few, and parsed JSON by the million.

    Called first of all, it spares loading modules too, which makes objects and no garbage.
    """
    gc.set_threshold(GENERATION_0_OBJECTS, 20, 50)


def spare_the_garbage_collector() -> None:
    """Likewise, and look no more at what is loaded by now: it lives as long as the process."""
    collect_rarely()
    gc.freeze()
