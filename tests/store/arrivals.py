"""Arrivals as the tests of stores append them, and what they are projected with."""

import itertools

from app.model import Arrival
from app.project.projector import Projector
from app.receive.reading import read_ids
from app.settings import Settings
from app.store.database import Work

_clock = itertools.count(1_700_000_000_000)


def arrival(key: str, body: bytes = b'{"a":1}', run: str = "run") -> Arrival:
    """A body under a key and run of its own, whatever is in it."""
    return Arrival(run, key, body, next(_clock))


def arrival_of(body: bytes) -> Arrival:
    """A callback's body under the ids that are in it."""
    ids = read_ids(body)
    return arrival(ids.key, body, ids.run_uid)


def project(work: Work) -> None:
    """Project all that there is."""
    projector = Projector(work.log, work.projection, Settings().result_keys)
    while projector.project_batch():
        pass
