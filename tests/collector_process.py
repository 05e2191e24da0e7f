"""A real collector in a process of its own, as the tests drive it."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2

from tests.template import forked

TOKEN = "ingest-token-of-the-tests"
ADMIN_KEY = "admin-key-of-the-tests"
START_TIMEOUT_S = 60


class CollectorProcess:
    """`edges-collector serve` on a free port of 127.0.0.1."""

    def __init__(
        self,
        env: Mapping[str, str],
        preexec: Callable[[], None] | None = None,
        *,
        with_secrets: bool = True,
        source: Path | None = None,
        port: int | None = None,
    ) -> None:
        """With `source`, the code in that folder runs, such as another revision's.

        `port` is one that was free, for whoever must know it before.
        """
        self.env = env
        self.data_dir = data_dir = Path(env["COLLECTOR_DATA_DIR"])
        self.port = port or free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log_path = data_dir.parent / f"collector-{self.port}.log"
        secrets = {"COLLECTOR_INGEST_TOKEN": TOKEN, "COLLECTOR_ADMIN_KEY": ADMIN_KEY}
        kept = {name: value for name, value in os.environ.items() if "COLLECTOR" not in name}
        environment = {
            **kept,
            "COLLECTOR_PORT": str(self.port),
            "COLLECTOR_DRAIN_S": "0",
            **(secrets if with_secrets else {}),
            **env,
        }
        is_usual = preexec is None and source is None and "PYTHONPATH" not in env
        self.process = (
            forked(["serve"], environment, self.log_path)
            if is_usual
            else self._started(environment, source, preexec)
        )
        self.http = httpx2.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
            trust_env=False,
            verify=False,  # reading all certificates takes longer than a request
            timeout=60,
        )

    def _started(
        self, env: Mapping[str, str], source: Path | None, preexec: Callable[[], None] | None
    ) -> subprocess.Popen[bytes]:
        with self.log_path.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "app", "serve"],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=env,
                cwd=source,
                preexec_fn=preexec,  # noqa: PLW1509 - it only sets a limit
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def wait_until_ready(self) -> "CollectorProcess":
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.log}")
            try:
                if self.http.get("/healthz").status_code == 200:
                    return self
            except httpx2.HTTPError:
                time.sleep(0.01)
        raise AssertionError(f"not up after {START_TIMEOUT_S} s: {self.log}")

    def send(self, body: bytes, **headers: str) -> httpx2.Response:
        """POST a callback with the ingest token; underscores in header names become dashes."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        defaults = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        return self.http.post("/callbacks", content=body, headers=defaults | given)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of an API path; fails on anything but a 2xx."""
        answer = self.http.get(f"/api/v1/{path}", params=params)
        assert answer.is_success, answer.text
        return answer.json()

    def pages(self, path: str, **params: Any) -> list[Any]:
        """All rows of a list."""
        rows: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **params, **cursor)
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            cursor = {"cursor": page["next_cursor"]}

    def wait_until_projected(self, timeout_s: float = 60) -> None:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            text = self.http.get("/metrics").text
            if "\nedges_collector_projection_lag_callbacks 0.0\n" in text:
                return
            time.sleep(0.05)
        raise AssertionError(f"not projected after {timeout_s} s: {self.log}")

    def kill(self) -> None:
        """kill -9, as a power cut would; the worker ends by itself."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.http.close()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


_PORTS_OF_A_WORKER = 1_000
_ports_tried = itertools.count(os.getpid() % _PORTS_OF_A_WORKER)


def free_port() -> int:
    """A port that no other test worker gives out.

    Were it any free port, another worker could be given the same one before the server that it is
    for listens, and two tests would talk to one server."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    lowest = 12_000 + worker % 15 * _PORTS_OF_A_WORKER
    for _ in range(_PORTS_OF_A_WORKER):
        port = lowest + next(_ports_tried) % _PORTS_OF_A_WORKER
        with socket.socket() as probe:
            # As servers bind: what is only in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port from {lowest} on is free")
