"""How this process treats memory that is garbage."""

import gc

GENERATION_0_OBJECTS = 50_000


def spare_the_garbage_collector() -> None:
    """Look for cycles rarely: this code makes few, and parsed JSON by the million.

    What is loaded by now lives as long as the process, and is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GENERATION_0_OBJECTS, 20, 50)
