"""What may be logged of a batch while there are tombstones, and that it is said what may not."""

from collections.abc import Sequence

import structlog

from app import observe
from app.erasing import Admitted, Tombstones
from app.model import Arrival

log = structlog.get_logger("store")


def admit(tombstones: Tombstones, arrivals: Sequence[Arrival]) -> Admitted:
    """As `Tombstones.admit`; what came in again of what was erased is counted and logged."""
    admitted = tombstones.admit(arrivals)
    if admitted.changed:
        observe.ERASED.labels("changed").inc(admitted.changed)
    dropped = admitted.size - len(admitted.arrivals)
    if dropped:
        observe.ERASED.labels("dropped").inc(dropped)
        runs = sorted({one.run_uid for one in arrivals if one.run_uid in tombstones.runs})
        log.warning("what came of an erased run was dropped", runs=runs, arrivals=dropped)
    return admitted
