"""Deriving runs anew of which bodies changed in the log, as erasing changes them."""

from typing import TYPE_CHECKING

from app.project.projector import Projector
from app.store.database import Work

if TYPE_CHECKING:
    from app.settings import Settings
    from app.work_settings import WorkSettings


def rework(work: Work, settings: "Settings | WorkSettings") -> bool:
    """Derive the next such run anew, as a whole; False if there is none.

    Nothing is told of it: what its callbacks raised was raised when they came.
    """
    with work.rework.next() as anew:
        if anew is None:
            return False
        projector = Projector(
            work.log,
            anew,
            settings.result_keys,
            asks_edges=settings.asks_edges,
        )
        while projector.project_batch() is not None:
            pass
    return True
