"""The simulated Edges as a running HTTP server."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.applications import Starlette

from app.simulator.application import create_app
from app.simulator.scenario import Scenario

_GRACE_S: Final = 1


class SimulatedEdges:
    """A simulated Edges on 127.0.0.1, in the current event loop, for as long as the block lasts.

        async with SimulatedEdges(Scenario(seed=7)) as edges:
            ...  # requests to edges.base_url with X-API-Key: edges.api_key

    Port 0 takes a free one. Leaving ends all sending and closes all connections. Raises
    OSError if the port is taken. Signals are left to the program around it.
    """

    def __init__(
        self, scenario: Scenario | None = None, *, api_key: str = "simulated-key", port: int = 0
    ) -> None:
        self.scenario = scenario or Scenario()
        self.api_key = api_key
        self._port = port
        self._server: _EmbeddedServer | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """The base of the API, as `http://127.0.0.1:PORT/v1`; known once entered."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """Scheme, host and port; the control plane is at `/_simulator` below it."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        listener = _listen("127.0.0.1", self._port)
        self._port = listener.getsockname()[1]
        app = create_app(self.scenario, api_key=self.api_key, base_url=self.base_url)
        self._server = _EmbeddedServer(_config(app))
        self._serving = asyncio.create_task(self._server.serve([listener]), name="simulated Edges")
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise RuntimeError("the simulated Edges ended while it started")
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None  # noqa: S101 (entered before it is left)
        assert self._serving is not None  # noqa: S101
        self._server.should_exit = True
        await self._serving


async def serve(host: str, port: int, scenario: Scenario, api_key: str) -> None:
    """Run a simulated Edges until it is cancelled, or until SIGTERM or SIGINT.

    Raises OSError if it cannot listen there.
    """
    listener = _listen(host, port)
    server = uvicorn.Server(_config(create_app(scenario, api_key=api_key)))
    serving = asyncio.create_task(server.serve([listener]), name="simulated Edges")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


class _EmbeddedServer(uvicorn.Server):
    """A server that leaves signals to the program it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        # An answer that is cut on purpose is nothing to complain about.
        log_level="critical",
        timeout_graceful_shutdown=_GRACE_S,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The event loop turns off Nagle's delay (40 ms an answer) only where TCP is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
