"""Keeps the worker process running, wakes it, and ends it with the service."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from uuid import uuid4

import structlog

from app.work_settings import WorkSettings

RESTART_S = (0.2, 1.0, 5.0, 15.0)
"""Pauses before a worker that ended is started again; the last one repeats."""

STOP_TIMEOUT_S = 30.0

log = structlog.get_logger("supervisor")


class WorkerSupervisor:
    """Owns one worker process; see `app.worker` for what is said on its standard input."""

    def __init__(
        self, settings: WorkSettings, on_events: Callable[[], None] = lambda: None
    ) -> None:
        """`on_events` is called whenever the worker has raised events."""
        self._settings = settings
        self._on_events = on_events
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._failures = 0
        # One name for all that follow each other: the next one goes on with what the last had.
        self._worker_name = str(uuid4())

    @property
    def state(self) -> tuple[bool, str]:
        """Whether the worker runs, and a sentence about it."""
        if self._process is not None and self._process.returncode is None:
            return True, f"running as process {self._process.pid}"
        return False, f"ended {self._failures} times, will be started again"

    def start(self) -> None:
        """Start the worker, and start it again whenever it ends."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="worker supervisor")

    def wake(self) -> None:
        """Say that there is something new to project."""
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return
        # A worker that is busy reads its wake-ups later: one that waits is enough.
        if process.stdin.transport.get_write_buffer_size() == 0:
            process.stdin.write(b"\n")

    async def stop(self) -> None:
        """Cut the worker's lifeline, and wait until it has written what it was at."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping.is_set():
            loop = asyncio.get_running_loop()
            started = loop.time()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "app.worker",
                self._worker_name,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            self._process = process
            if process.stdin is not None:
                process.stdin.write(self._settings.to_json() + b"\n")
            hearing = asyncio.ensure_future(self._hear(process))
            await self._ended(process)
            hearing.cancel()
            if self._stopping.is_set():
                break
            self._failures = 0 if loop.time() - started > 60 else self._failures + 1
            pause_s = RESTART_S[min(self._failures, len(RESTART_S)) - 1]
            log.error("worker ended", code=process.returncode, restart_in_s=pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        while process.stdout is not None and await process.stdout.read(4_096):
            self._on_events()

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            return
        if process.stdin is not None:
            process.stdin.close()
        done, _ = await asyncio.wait({ended}, timeout=STOP_TIMEOUT_S)
        if not done:
            log.error("worker does not end, killed", pid=process.pid)
            process.kill()  # what it was at is rolled back, and projected at the next start
            await ended
