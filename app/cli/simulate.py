"""`edges-collector simulate`: the simulated Edges alone, to develop against without credits."""

import asyncio
import json
import secrets
import signal
import sys
from dataclasses import fields
from typing import Annotated

import msgspec
from cyclopts import Parameter

from app.cli.failures import fail
from app.observe import configure_logging
from app.simulator import Scenario
from app.simulator import serve as serve_simulator


def simulate(
    *,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on.")] = 8090,
    api_key: Annotated[str, Parameter(help="The X-API-Key it wants.")] = "simulated-key",
    seed: Annotated[
        int | None,
        Parameter(help="The same seed gives the same runs; by default another each time."),
    ] = None,
    scenario: Annotated[
        str,
        Parameter(help='Faults as JSON, such as \'{"duplicate_share": 0.1, "drop_share": 0.01}\'.'),
    ] = "{}",
    for_s: Annotated[
        float | None, Parameter(help="Seconds after which it ends; by default once it is stopped.")
    ] = None,
) -> None:
    """Run a simulated Edges until it is stopped.

    It answers like the Edges API under http://HOST:PORT/v1, sends callbacks to whatever URL
    a launch names, and misbehaves as the scenario says.

    Example: edges-collector simulate --port 8090 --scenario '{"failed_share": 0.05}'
    """
    try:
        knobs = json.loads(scenario)
        if unknown := set(knobs) - {field.name for field in fields(Scenario)}:
            fail(f"--scenario: there is no knob {', '.join(sorted(unknown))}", code=2)
        chosen = secrets.randbelow(10**6) if seed is None else seed
        wanted = msgspec.convert({"seed": chosen, **knobs}, Scenario)
    except (ValueError, TypeError) as error:
        fail(f"--scenario: {error}", code=2)
    configure_logging("warning", None)
    sys.stderr.write(
        f"simulated Edges: http://{host}:{port}/v1  X-API-Key: {api_key}  seed: {wanted.seed}\n"
    )
    asyncio.run(_until_stopped(host, port, wanted, api_key, for_s))


async def _until_stopped(
    host: str, port: int, scenario: Scenario, api_key: str, for_s: float | None
) -> None:
    serving = asyncio.ensure_future(serve_simulator(host, port, scenario, api_key))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    if for_s is not None:
        loop.call_later(for_s, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        sys.stderr.write("stopped\n")
