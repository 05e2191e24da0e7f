"""A process that projects what its starter logs, while the starter does something else.

A command has no service around it; this is its worker. Projecting is computing, so that
it takes a processor of its own.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic, sleep

from app.canonical import allow_deep_nesting
from app.memory import spare_the_garbage_collector
from app.project.projector import projector_of
from app.settings import Settings
from app.store.database import opened_for_work
from app.store.protocol import StoreUnavailableError

POLL_S = 0.05
STANDSTILL_S = 30.0
"""Longer than a run is kept by a worker that died."""

_END_S = 30.0


class Companion:
    """The process, as its starter sees it."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def wait(self, unprojected: Callable[[], int], on_progress: Callable[[int], None]) -> None:
        """Return when `unprojected` says that nothing is left.

        `on_progress` hears how many callbacks are left. Raises StoreUnavailableError if the
        process ended, or nobody has projected anything for `STANDSTILL_S`.
        """
        last_left, last_moved = -1, monotonic()
        while left := unprojected():
            on_progress(left)
            if left != last_left:
                last_left, last_moved = left, monotonic()
            if not self._process.is_alive():
                raise StoreUnavailableError(
                    f"the process that projects ended with {self._process.exitcode}, and"
                    f" {left:,} callbacks are left to it; what it said is above"
                )
            if monotonic() - last_moved > STANDSTILL_S:
                raise StoreUnavailableError(
                    f"none of {left:,} callbacks was projected for {STANDSTILL_S:.0f} s: see"
                    " whether the database answers, and whether a collector that runs on it hangs"
                )
            sleep(POLL_S)
        on_progress(0)


@contextmanager
def projecting_beside(settings: Settings, worker_name: str) -> Iterator[Companion]:
    """A companion that projects as long as the block lasts, and ends with its starter too."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    process = context.Process(target=_project, args=(settings, worker_name, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Companion(process)
    finally:
        ours.close()
        process.join(_END_S)
        if process.is_alive():  # what it was at is rolled back
            process.kill()
            process.join()


def _project(settings: Settings, worker_name: str, line: Connection) -> None:
    """Project until the other end of the line is closed, by whatever ended the starter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the starter, which ends us
    allow_deep_nesting()
    spare_the_garbage_collector()
    with opened_for_work(settings, worker_name) as work:
        projector = projector_of(work, settings)
        while not line.poll(0):
            try:
                batch = projector.project_batch()
            except StoreUnavailableError:  # the starter meets it too, and says so
                batch = None
            if batch is None:
                line.poll(POLL_S)
