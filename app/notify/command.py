"""The hook on this machine: a command that is given each event on its standard input."""

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from tempfile import TemporaryFile
from time import monotonic
from types import MappingProxyType
from typing import IO

from app.notify.answers import kept_answer
from app.notify.attempt import ANSWER_BYTES_MAX, Attempt

# What a program needs to find its way. All else stays here: our settings are secrets.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
_VALUE_BYTES_MAX = 4_096
_GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""
_LAST_WORDS_S = 0.5
"""For the rest of the output, when the command has ended but left somebody behind who holds it."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class LocalCommand:
    """Runs `command`, split as a shell would (quotes and backslashes), but without a shell.

    So nothing in it is expanded: who wants pipes or variables writes `sh -c '…'`. Raises
    ValueError if it is empty, holds a NUL, or a quote is not closed.
    """

    def __init__(self, command: str, timeout_s: float) -> None:
        self._arguments = shlex.split(command)
        if not self._arguments:
            raise ValueError("the command is empty")
        if "\0" in command:
            raise ValueError("the command holds a NUL, which no command can")
        self._timeout_s = timeout_s

    async def run(self, event: bytes, environment: Mapping[str, str] = _NOTHING) -> Attempt:
        """Run the command once, with `event` on its standard input. 0 is delivered.

        It has `environment` (such as `EDGES_EVENT_TYPE`) and little else, and a process group of
        its own, which is ended as a whole at the time-out and when this is cancelled. What it
        leaves in the background when it ends by itself goes on. Raises nothing but CancelledError.
        """
        started_s = monotonic()
        output = _Output()
        try:
            status, problem = await self._run(event, environment, output)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            status, problem = None, f"{self._arguments[0]} could not be started: {reason}"
        return Attempt(
            is_delivered=problem is None,
            took_ms=round((monotonic() - started_s) * 1000),
            status=status,
            problem=problem,
            answer=kept_answer(bytes(output.kept)),
        )

    async def _run(
        self, event: bytes, environment: Mapping[str, str], output: "_Output"
    ) -> tuple[int | None, str | None]:
        """Exit code and problem."""
        # The pipe is ours, not asyncio's: that one's `wait` waits for whoever else holds it.
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb", buffering=0) as stdout:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: output, os.fdopen(reading, "rb", buffering=0)
            )
            try:
                process = await self._started(event, environment, stdout)
                stdout.close()  # else the end of the output would never come
                return await self._ended(process, output)
            finally:
                transport.close()

    async def _started(
        self, event: bytes, environment: Mapping[str, str], stdout: IO[bytes]
    ) -> Process:
        with TemporaryFile() as stdin:  # a file, unlike a pipe, needs nobody to read it
            stdin.write(event)
            stdin.seek(0)
            return await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=stdin,
                stdout=stdout,
                stderr=stdout,
                env=_environment(environment),
                start_new_session=True,
            )

    async def _ended(self, process: Process, output: "_Output") -> tuple[int | None, str | None]:
        status: int | None
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await process.wait()
            problem = _problem(status)
        except TimeoutError:
            await _end(process)
            status = None
            problem = f"the command took longer than {self._timeout_s:g} s and was ended"
        except asyncio.CancelledError:
            await _end(process)
            raise
        await asyncio.wait([output.has_ended], timeout=_LAST_WORDS_S)
        return status, problem


class _Output(asyncio.Protocol):
    """Reads what the command writes to its end, and keeps the beginning."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.has_ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.kept += data[: ANSWER_BYTES_MAX - len(self.kept)]

    def connection_lost(self, _: Exception | None) -> None:
        if not self.has_ended.done():
            self.has_ended.set_result(None)


async def _end(process: Process) -> None:
    """Ask the whole group to end, then make it. The latter comes even if we are cancelled."""
    try:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
    finally:
        _signal(process, signal.SIGKILL)  # also those who outlived the first of them
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _problem(status: int) -> str | None:
    if status == 0:
        return None
    if status > 0:
        return f"the command ended with exit code {status}"
    return f"the command was ended by signal {-status} ({signal.strsignal(-status)})"


def _environment(given: Mapping[str, str]) -> dict[bytes, bytes]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {name.encode(): os.fsencode(value) for name, value in inherited.items()} | {
        name.encode(): _value(text) for name, text in given.items()
    }


def _value(text: str) -> bytes:
    """What any text is as the value of a variable: bounded, and without NUL."""
    return text.encode(errors="replace").replace(b"\0", b"?")[:_VALUE_BYTES_MAX]
