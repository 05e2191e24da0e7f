"""Processes of `edges-collector` without the second that each takes to load its code.

A template process has loaded all of it and run none; each server is a fork of that. From the
command line on everything is the real thing. That `python -m app` gets so far is seen in
`tests/cli/`, and wherever a process is started with a limit.
"""

import contextlib
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

COMMAND_TIMEOUT_S = 100
_ORDER_BYTES_MAX = 256 * 1024
_LOADED = (
    *("app.cli.serve", "app.cli.simulate", "app.store.postgres.store"),
    *("app.store.postgres.budget", "app.store.postgres.queue"),
    *("app.cli.copy", "app.cli.export", "app.cli.migrate", "app.cli.reconcile"),
)


class Forked:
    """A process, with as much of `subprocess.Popen` as tests need."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        """What it ended with will come down the line."""
        self.pid = pid
        self.returncode: int | None = None
        self._line = line

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._line], [], [], timeout)[0]:
            said = self._line.recv(16)
            assert said, "the template process has ended"
            self.returncode = int(said)
            self._line.close()
        return self.returncode


def forked(
    arguments: Sequence[str],
    env: Mapping[str, str],
    stderr: Path | None = None,
    stdout: Path | None = None,
) -> Forked:
    """`edges-collector` with these arguments and this environment."""
    order = {
        "arguments": list(arguments),
        "env": dict(env),
        "stdout": str(stdout or os.devnull),
        "stderr": str(stderr or os.devnull),
    }
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(_template()[0], [json.dumps(order).encode()], [theirs.fileno()])
    return Forked(int(ours.recv(16)), ours)


def ran(
    *arguments: str, env: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """What comes of a command, with `env` in place of this process's settings."""
    kept = {name: value for name, value in os.environ.items() if "COLLECTOR" not in name}
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        process = forked(arguments, {**kept, **env}, stderr, stdout)
        try:
            code = process.wait(COMMAND_TIMEOUT_S)
        finally:
            process.kill()
        said = stdout.read_text("utf-8"), stderr.read_text("utf-8")
    return subprocess.CompletedProcess(arguments, code, *said)


@functools.cache
def _template() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The line to the template of this test process, which ends when the line does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ORDER_BYTES_MAX)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.template", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return ours, process


def _fork_on_demand(orders: socket.socket) -> dict[str, Any] | None:
    """Return an order in the process that is to carry it out; None at the end of all orders."""
    for name in _LOADED:
        importlib.import_module(name)
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lines: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            while lines and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with lines.pop(ended[0]) as line:
                    _tell(line, os.waitstatus_to_exitcode(ended[1]))
        if orders in ready:
            order, fds, _, _ = socket.recv_fds(orders, _ORDER_BYTES_MAX, 1)
            if not order:
                return None
            line = socket.socket(fileno=fds[0])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for one in (orders, woken, wakes, line, *lines.values()):
                    one.close()
                return dict(json.loads(order))
            lines[pid] = line
            _tell(line, pid)


def _tell(line: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # who started it is gone
        line.send(b"%d" % number)


def _carry_out(order: Mapping[str, Any]) -> None:
    """Run the command, as in a process of its own."""
    from app import cli, crash_points  # noqa: PLC0415 - the test's process needs nothing of it

    os.environ.clear()
    os.environ.update(order["env"])
    importlib.reload(crash_points)  # which read the environment when it was loaded
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        with Path(order[name]).open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = ["edges-collector", *order["arguments"]]
    cli.main()


if __name__ == "__main__":
    if (_order := _fork_on_demand(socket.socket(fileno=int(sys.argv[1])))) is not None:
        _carry_out(_order)
