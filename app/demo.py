"""A run for newcomers: a simulated Edges in a process of its own, which calls back here.

It takes the way that callbacks of Edges take, from the socket on. The process is ended once all
is sent, with the service, and by itself after `DEMO_S` whatever happens.
"""

import asyncio
import contextlib
import json
import secrets
import socket
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import httpx2
import structlog

ACTION = "linkedin-extract-people"
INPUTS = 100
DEMO_S = 120
"""How long it may take; usually it is over in ten seconds."""

START_S = 30.0
ASK_S = 0.5
SCENARIO = {
    "results_per_input": [1, 4],
    "page_size": 2,
    "failed_share": 0.08,
    "blocked_share": 0.02,
    "duplicate_share": 0.1,
    "reorder_window": 10,
    "callbacks_per_second": 20,
}
MARK = {"demo": "first steps"}
"""In the custom_data of each input, by which its results are told from real ones."""

log = structlog.get_logger("demo")


class DemoError(Exception):
    """The demo cannot be run. The message says why, and what to do."""


class DemoBusyError(DemoError):
    """One is going on already."""


class _Simulator(NamedTuple):
    process: asyncio.subprocess.Process
    origin: str
    key: str


class Demo:
    """Runs demos, one at a time."""

    def __init__(self, *, callback_url: Callable[[], str], token: str) -> None:
        """`callback_url` is where this process takes callbacks on this machine."""
        self._callback_url = callback_url
        self._token = token
        self._is_busy = False
        self._watching: asyncio.Task[None] | None = None
        self.run_uid: str | None = None
        """The run that was launched last."""

    @property
    def is_going(self) -> bool:
        """Whether a simulated Edges is at work."""
        return self._is_busy

    async def start(self) -> str:
        """Launch a run; its uid. Its callbacks come from now on. Raises DemoError."""
        if self._is_busy:
            raise DemoBusyError(
                "a demo is going on: it is over in a moment, and then another can begin"
            )
        self._is_busy = True
        simulator = None
        try:
            simulator = await _started()
            self.run_uid = await self._launch(simulator)
        except BaseException as error:
            if simulator is not None:
                await _end(simulator.process)
            self._is_busy = False
            if isinstance(error, (httpx2.HTTPError, OSError)):
                raise DemoError(f"the simulated Edges cannot be asked: {error}") from error
            raise
        self._watching = asyncio.create_task(self._watch(simulator, self.run_uid), name="demo")
        log.info("demo began", run_uid=self.run_uid, pid=simulator.process.pid)
        return self.run_uid

    async def stop(self) -> None:
        """End the simulated Edges, if there is one."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _launch(self, simulator: _Simulator) -> str:
        async with _client(simulator) as client:
            answer = await client.post(
                f"/v1/actions/{ACTION}/run/async",
                json={
                    "inputs": [_input(number) for number in range(INPUTS)],
                    "callback": {
                        "url": self._callback_url(),
                        "headers": {"Authorization": f"Bearer {self._token}"},
                        "on": "all",
                    },
                },
            )
            answer.raise_for_status()
            return str(answer.json()["run_uid"])

    async def _watch(self, simulator: _Simulator, run_uid: str) -> None:
        try:
            async with asyncio.timeout(DEMO_S), _client(simulator) as client:
                url = f"/_simulator/runs/{run_uid}/truth?inputs=false"
                while not (await client.get(url)).raise_for_status().json()["settled"]:
                    await asyncio.sleep(ASK_S)
            log.info("demo is over", run_uid=run_uid)
        except (httpx2.HTTPError, TimeoutError) as error:
            log.warning("demo broke off", run_uid=run_uid, reason=repr(error))
        finally:
            await _end(simulator.process)
            self._is_busy = False


async def _started() -> _Simulator:
    """A simulated Edges that answers. Raises DemoError, OSError."""
    port, key = free_port(), secrets.token_hex(16)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "simulate", "--port", str(port), "--api-key", key),
        *("--for-s", str(DEMO_S), "--scenario", json.dumps(SCENARIO)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    simulator = _Simulator(process, f"http://127.0.0.1:{port}", key)
    try:
        until = monotonic() + START_S
        async with _client(simulator) as client:
            while not await _is_up(client):
                _check_start(process, until)
                await asyncio.sleep(0.05)
    except BaseException:
        await _end(process)
        raise
    return simulator


def _check_start(process: asyncio.subprocess.Process, until: float) -> None:
    if process.returncode is not None:
        raise DemoError("the simulated Edges ended while it started: try again")
    if monotonic() > until:
        raise DemoError(
            f"the simulated Edges did not start in {START_S:.0f} s: try again when the machine has"
            " less to do"
        )


async def _is_up(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/_simulator/healthz")).is_success
    except httpx2.TransportError:
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        process.kill()
    await process.wait()


def _client(simulator: _Simulator) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=simulator.origin,
        headers={"X-API-Key": simulator.key},
        trust_env=False,
        verify=False,
        timeout=10,
    )


def _input(number: int) -> dict[str, Any]:
    return {
        "linkedin_profile_url": f"https://www.linkedin.com/in/demo-{number}",
        "custom_data": {**MARK, "row_id": f"row-{number:03d}"},
    }


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
