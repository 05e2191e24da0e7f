"""The worker process: projects what the receiver logged, until its lifeline is cut.

Started by the service with a name under which it leases its work (that of the worker
before it, if that one ended) and the settings as the first line on standard input. Each
further line says that there is something new; a line on standard output that events were
raised; the end of the input says to stop, also
when the service was killed. A process of its own, since projecting is computing, and
would take the interpreter away from the event loop that acknowledges.
"""

import contextlib
import os
import select
import signal
import sys
from time import perf_counter, sleep, time

import structlog

from app.canonical import allow_deep_nesting
from app.memory import spare_the_garbage_collector
from app.observe import configure_logging
from app.project.pace import Pace
from app.project.projector import projector_of
from app.project.rework import rework
from app.store.database import Work, opened_for_work
from app.store.protocol import StoreUnavailableError
from app.work_settings import WorkSettings

POLL_S = 1.0
"""How long to wait for a wake-up before looking anyway."""

NICENESS = 19
"""Where both want the same processor, acknowledging goes first: a sender may give up, a
reader can wait. `app.log.backpressure` sees to it that projecting gets its share."""

REST_S = 0.25
SMALL_BATCH = 500
SMALL_BYTES = 256 * 1024
"""One page of Edges' lists is as much work as hundreds of callbacks."""

LINGER_S = 0.03

log = structlog.get_logger("worker")


class Lifeline:
    """Standard input: wake-ups while it lasts, and its end."""

    def __init__(self) -> None:
        self.is_cut = False

    def wait(self, timeout_s: float) -> None:
        """Return at the next wake-up, at the end, or after `timeout_s`."""
        if self.is_cut:
            return
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], timeout_s)
        if ready and not os.read(sys.stdin.fileno(), 65_536):
            self.is_cut = True

    def rest(self, seconds: float) -> None:
        """Sleep, whatever wake-ups come meanwhile; only the end cuts it short."""
        until = perf_counter() + seconds
        self.wait(0)
        while not self.is_cut and (left := until - perf_counter()) > 0:
            sleep(min(left, REST_S))
            self.wait(0)


def work(settings: WorkSettings, name: str, lifeline: Lifeline) -> None:
    """Project until the lifeline is cut."""
    with opened_for_work(settings, name) as store:
        _project(settings, store, lifeline)


def _project(settings: WorkSettings, store: Work, lifeline: Lifeline) -> None:
    projector = projector_of(store, settings)
    pace = Pace(settings.projection_burst_s)
    log.info("projecting")
    while not lifeline.is_cut:
        started = perf_counter()
        try:
            done, is_reworked = None, False
            if not settings.projection_paused:
                is_reworked = rework(store, settings)
                done = projector.project_batch()
        except StoreUnavailableError as error:
            log.warning("the projection waits for the database", reason=str(error))
            done, is_reworked = None, False
        if done is None:
            if not is_reworked:
                lifeline.wait(POLL_S)
            continue
        log.debug(
            "projected" if done.is_saved else "projected in vain: another worker took over",
            run_uid=done.claim.run and done.claim.run.uid,
            from_seq=done.claim.from_seq,
            next_seq=done.next_seq,
            callbacks=done.callbacks,
        )
        pause_s = pace.pause_s(
            now_s=perf_counter(),
            lag_s=time() - done.oldest_received_ms / 1000,
            work_s=perf_counter() - started,
            compute_s=done.compute_s,
            cpu_s=done.compute_cpu_s,
        )
        if done.events:
            tell_starter()
        # A small batch waits a little for company.
        if not done.has_callbacks:
            pause_s = 0.0
        is_small = done.callbacks < SMALL_BATCH and done.body_bytes < SMALL_BYTES
        lifeline.rest(max(pause_s, LINGER_S if is_small else 0.0))


def tell_starter() -> None:
    """Say on standard output that events were raised."""
    with contextlib.suppress(BrokenPipeError):  # it ended, and so will we
        os.write(sys.stdout.fileno(), b"\n")


def _first_line() -> bytes:
    """Read byte by byte: what follows belongs to the lifeline."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            break
        line += byte
    return line


def main() -> None:
    """Run as a process: see the module."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the service, which ends us
    settings = WorkSettings.from_json(_first_line())
    configure_logging(settings.log_level, settings.log_format)
    allow_deep_nesting()
    spare_the_garbage_collector()
    work(settings, sys.argv[1], Lifeline())


if __name__ == "__main__":
    main()
