"""The load: wrk on a core of its own, sending callbacks that differ as real ones do."""

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.simulator.results.draws import Draws
from app.simulator.results.people import person
from tests.collector_process import TOKEN

LOAD_CORE = 1
RUN_CALLBACKS = 100_000
"""Callbacks to a run, before the next one begins."""

# Every hundredth request repeats the one before, byte for byte: 1 % repeats.
_SCRIPT = """
local results, n, again, last = {}, 0, 0, nil
for line in io.lines("%(results)s") do results[#results + 1] = line end
distinct = 0
local headers = {["Authorization"] = "Bearer %(token)s", ["Content-Type"] = "application/json"}
local body = '{"callback_ref_uid":"%(prefix)s-4000-8000-%%012x","run":{"run_uid":'
  .. '"%(prefix)s-4000-9000-%%012x","batch_uid":"%(prefix)s-4000-a000-%%012x","status":"RUNNING"},'
  .. '"input":{"linkedin_profile_url":"https://www.linkedin.com/in/lead-%(prefix)s-%%d"},'
  .. '"custom_data":{"row_id":"row-%%d","list":"leads-nov"},"results":[%%s]}'
request = function()
  n = n + 1
  if n %% 100 == 0 then return last end
  distinct = distinct + 1
  last = wrk.format("POST", "/callbacks", headers, string.format(body, n,
    math.floor(n / %(run)d), math.floor(n / 50), n, n, results[n %% #results + 1]))
  return last
end
local worker
setup = function(thread) worker = thread end
done = function(summary, latency, requests)
  io.write(string.format('JSON {"requests":%%d,"duration_us":%%d,"bytes":%%d,"bad":%%d,'
    .. '"distinct":%%d,"p50_us":%%d,"p99_us":%%d}\\n', summary.requests, summary.duration,
    summary.bytes, summary.errors.status + summary.errors.connect + summary.errors.timeout,
    worker:get("distinct"), latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of load."""

    rate: float
    """Answers with 2xx, a second."""
    p50_ms: float
    p99_ms: float
    requests: int
    distinct: int
    """Distinct callbacks sent; the last ones may be unanswered."""


class Bodies:
    """Results to put into bodies: as many to a body as asked, in some thousand variants."""

    def __init__(
        self, folder: Path, results: int, drawn: Callable[[Draws], dict[str, Any]] = person
    ) -> None:
        self.path = folder / f"{drawn.__name__}-{results}.txt"
        variants = 4_000 if results == 1 else 300
        with self.path.open("wb") as file:
            for variant in range(variants):
                made = [drawn(Draws(7, variant, place)) for place in range(results)]
                text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
                file.write(text[1:-1].encode() + b"\n")
        self.mean_bytes = self.path.stat().st_size // variants + 330


def wrk(
    port: int,
    bodies: Bodies,
    *,
    seconds: float,
    connections: int = 64,
    run_callbacks: int = RUN_CALLBACKS,
) -> Measured:
    """Send for `seconds` over `connections`; every call sends new ids. Raises RuntimeError."""
    script = bodies.path.with_name(f"{uuid.uuid4().hex}.lua")
    values = {
        "results": bodies.path,
        "token": TOKEN,
        "prefix": uuid.uuid4().hex[:8] + "-" + uuid.uuid4().hex[:4],
        "run": run_callbacks,
    }
    script.write_text(_SCRIPT % values, "utf-8")
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{seconds:.0f}", "--timeout", "30s", "-s", str(script)]
    finished = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False
    )
    line = next((part for part in finished.stdout.splitlines() if part.startswith("JSON ")), None)
    if line is None:
        raise RuntimeError(f"wrk failed: {finished.stdout} {finished.stderr}")
    said = json.loads(line.removeprefix("JSON "))
    good = said["requests"] - said["bad"]
    return Measured(
        rate=good / said["duration_us"] * 1e6,
        p50_ms=said["p50_us"] / 1000,
        p99_ms=said["p99_us"] / 1000,
        requests=said["requests"],
        distinct=said["distinct"],
    )


def require_programs(*, with_wrk: bool) -> None:
    """End with a clear sentence where taskset, or wrk if it is needed, is missing."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if (with_wrk or program != "wrk") and shutil.which(program) is None:
            sys.exit(f"make bench needs {program}: install the Debian package {package}")
