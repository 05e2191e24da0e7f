"""Servers under test, pinned to one core: the collector and the baselines."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.collector_process import ADMIN_KEY, TOKEN, free_port

SERVER_CORE = 0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Running:
    """A server and where it keeps things."""

    kind: str
    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    http: httpx2.Client = field(
        default_factory=lambda: httpx2.Client(
            headers={"Authorization": f"Bearer {ADMIN_KEY}"}, trust_env=False, timeout=60
        )
    )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> list[int]:
        """The server's process and its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text().split())]

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds so far: of the event loop, the log's writer, and the projection."""
        used = {"loop": 0.0, "writer": 0.0, "projection": 0.0}
        for number, pid in enumerate(self.pids()):
            for task in Path(f"/proc/{pid}/task").iterdir():
                fields = (task / "stat").read_text().rpartition(") ")[2].split()
                seconds = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
                is_loop = task.name == str(pid)
                part = "projection" if number else "loop" if is_loop else "writer"
                used[part] += seconds
        return used

    def rss_mb(self) -> float:
        """Resident memory of all its processes now, in MB."""
        kib = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    kib += int(line.split()[1])
        return kib / 1000

    def metric(self, name: str) -> float:
        """A metric without labels, such as `commits_total`."""
        start = f"edges_collector_{name} "
        for line in self.http.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith(start):
                return float(line.removeprefix(start))
        raise LookupError(f"the collector has no metric {name}")

    def lag(self) -> tuple[int, float]:
        """Callbacks not projected yet, and the age of the oldest in seconds."""
        waiting = int(self.metric("projection_lag_callbacks"))
        return waiting, self.metric("projection_lag_seconds")

    def catch_up_s(self, limit_s: float = 600) -> float:
        """Seconds until everything is projected. Raises TimeoutError."""
        started = time.monotonic()
        while self.lag()[0]:
            if time.monotonic() - started > limit_s:
                raise TimeoutError(f"not projected after {limit_s} s")
            time.sleep(0.1)
        return time.monotonic() - started

    def counts(self) -> dict[str, int]:
        """Callbacks, duplicates and results over all runs."""
        totals = {"callbacks": 0, "duplicates": 0, "results": 0}
        cursor: dict[str, Any] = {}
        while True:
            page = self.http.get(f"{self.url}/api/v1/runs", params={"limit": 1000} | cursor).json()
            for run in page["data"]:
                for name in totals:
                    totals[name] += run["counts"][name]
            if page["next_cursor"] is None:
                return totals
            cursor = {"cursor": page["next_cursor"]}

    def disk_bytes(self) -> int:
        """All that the data folder holds."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@contextmanager
def running(
    kind: str,
    *,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    cores: str = str(SERVER_CORE),
) -> Iterator[Running]:
    """The collector ("C") or a baseline, on a core of its own, until the end.

    With COLLECTOR_DATABASE_URL in `env` both the collector and the baseline P use PostgreSQL.
    """
    port = free_port()
    data = folder or Path(tempfile.mkdtemp(prefix="bench-", dir=scratch()))
    if kind == "C":
        command = [sys.executable, "-m", "app", "serve"]
    else:
        database = (env or {}).get("COLLECTOR_DATABASE_URL", str(data / "naive.db"))
        command = [sys.executable, "-m", "tests.bench.receivers", kind, str(port), database]
    clean = {name: value for name, value in os.environ.items() if "COLLECTOR" not in name}
    with (data / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "-c", cores, *command],
            stdout=log,
            stderr=log,
            env={
                **clean,
                "COLLECTOR_DATA_DIR": str(data),
                "COLLECTOR_PORT": str(port),
                "COLLECTOR_INGEST_TOKEN": TOKEN,
                "COLLECTOR_ADMIN_KEY": ADMIN_KEY,
                "COLLECTOR_DRAIN_S": "0",
                **(env or {}),
            },
        )
    server = Running(kind, process, port, data)
    try:
        _wait_until_up(server)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=120)
        server.http.close()
        if folder is None:
            shutil.rmtree(data)


def _wait_until_up(server: Running) -> None:
    until = time.monotonic() + 60
    path = "/healthz" if server.kind == "C" else "/"
    while time.monotonic() < until:
        if server.process.poll() is not None:
            raise RuntimeError((server.folder / "server.log").read_text())
        try:
            answer = server.http.get(server.url + path)
            if server.kind != "C" or answer.is_success:
                time.sleep(1.0)  # the worker, too, has done its imports
                return
        except httpx2.HTTPError:
            time.sleep(0.05)
    raise RuntimeError(f"{server.kind} did not start")


def scratch() -> Path:
    """Where the bench writes: on a disk, since what it measures is a disk."""
    folder = Path("bench-output")
    folder.mkdir(exist_ok=True)
    return folder.resolve()


def slow_disk(folder: Path, extra_ms: float) -> dict[str, str]:
    """Environment under which every fsync takes `extra_ms` longer; compiles the shim."""
    library = folder / "slow_fsync.so"
    source = Path(__file__).with_name("slow_fsync.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True
    )
    return {"LD_PRELOAD": str(library), "SLOW_FSYNC_US": str(int(extra_ms * 1000))}
