"""`edges-collector demo`: a simulated Edges and the collector together, start to file."""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import httpx2
import uvloop
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.canonical import allow_deep_nesting
from app.cli.failures import fail
from app.demo import free_port
from app.observe import configure_logging
from app.service import Collector, create_server
from app.settings import Settings
from app.simulator import Scenario, SimulatedEdges

ACTION = "linkedin-extract-people"
FILES = ("results.csv", "results.ndjson", "failed-inputs.csv")
QUIET_S = 20.0
"""What has not come for so long, though it was asked for, is counted as missing."""

FAULTS = Scenario(
    seed=2026,
    results_per_input=(1, 5),
    page_size=2,
    failed_share=0.06,
    blocked_share=0.02,
    duplicate_share=0.1,
    overlap_share=0.05,
    reorder_window=40,
    delay_s=(0.0, 0.05),
    concurrency=24,
    callbacks_per_second=250.0,
)


def demo(
    *,
    inputs: Annotated[int, Parameter(help="Inputs of the run.")] = 500,
    out: Annotated[Path, Parameter(help="Folder for the files.")] = Path("demo-output"),
    drop_share: Annotated[float, Parameter(help="Share of callbacks that get lost.")] = 0.0,
    as_json: Annotated[bool, Parameter(name="--json", help="Say the outcome as JSON.")] = False,
) -> None:
    """Show the main job on a simulated run: launch, collect, prove, download.

    Starts a simulated Edges and a collector on free ports, in a temporary folder; the
    run's callbacks come twice, out of order and with failures. What gets lost is fetched from
    Edges. Writes results.csv, results.ndjson and failed-inputs.csv.

    Example: edges-collector demo --inputs 1000 --drop-share 0.02
    """
    if not 1 <= inputs <= 100_000:
        fail("--inputs must be from 1 to 100,000", code=2)
    if not 0 <= drop_share <= 1:
        fail("--drop-share must be from 0 to 1", code=2)
    configure_logging("error", None)
    allow_deep_nesting()
    try:
        out.mkdir(parents=True, exist_ok=True)
        outcome = uvloop.run(_demo(inputs, out, drop_share))
    except OSError as error:
        fail(f"the demo cannot run: {error}")
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_json()) + "\n")
    else:
        sys.stdout.write("\n".join(outcome.lines()) + "\n")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened, from the collector's own answers and from what Edges says of the run."""

    run: dict[str, Any]
    edges: dict[str, Any]
    inputs: int
    failed_by_label: Counter[str]
    out: Path
    took_s: float

    @property
    def missing_results(self) -> int:
        """Results that Edges has and the collector has not."""
        return int(self.edges["output_count"]) - int(self.run["counts"]["results"])

    @property
    def missing_inputs(self) -> int:
        """Inputs of whose end no callback told."""
        counts = self.run["counts"]
        return self.inputs - int(counts["inputs_succeeded"]) - int(counts["inputs_failed"])

    def lines(self) -> list[str]:
        """Five lines for a reader."""
        counts = self.run["counts"]
        labels = ", ".join(f"{label} {n}" for label, n in self.failed_by_label.most_common())
        missing = "nothing"
        if self.missing_results or self.missing_inputs:
            missing = f"{self.missing_results:,} results, the end of {self.missing_inputs:,} inputs"
        failed = f"{counts['inputs_failed']:,} inputs" + (f": {labels}" if labels else "")
        files = [str(self.out / name) for name in FILES]
        rows = {
            "Callbacks": f"{counts['callbacks']:,} received in {self.took_s:.1f} s,"
            f" {counts['duplicates']:,} duplicates ignored",
            "Results": f"{counts['results']:,} stored from {counts['inputs_succeeded']:,} inputs;"
            f" Edges reports {self.edges['output_count']:,} (run {self.edges['status']})",
            "Failed": failed,
            "Recovered": self._recovered(),
            "Missing": f"{missing}; the run is {self.run['completeness']}",
            "Files": ", ".join(files),
        }
        return [f"{name:<11}{text}" for name, text in rows.items()]

    def _recovered(self) -> str:
        losses = self.run["losses"] or {"results": 0, "inputs": 0, "callbacks": 0}
        if not any(losses.values()):
            return "nothing had to be: every callback came"
        return (
            f"{losses['results']:,} results and the end of {losses['inputs']:,} inputs, of"
            f" {losses['callbacks']:,} callbacks that Edges could not deliver"
        )

    def as_json(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "run": self.run,
            "edges": {name: self.edges[name] for name in ("status", "output_count")},
            "failed_inputs": dict(self.failed_by_label),
            "missing": {"results": self.missing_results, "inputs": self.missing_inputs},
            "out": str(self.out),
        }


async def _demo(inputs: int, out: Path, drop_share: float) -> Outcome:
    scenario = {"drop_share": drop_share} if drop_share else {}
    with tempfile.TemporaryDirectory(prefix="edges-collector-demo-") as folder:
        async with SimulatedEdges(FAULTS) as edges:
            settings = _settings(Path(folder), edges)
            return await _run(inputs, out, scenario, edges, settings)


def _settings(folder: Path, edges: SimulatedEdges) -> Settings:
    """A collector of this demo alone, whatever the environment says."""
    return Settings(
        data_dir=folder,
        database_url=None,
        role="all",
        port=free_port(),
        host="127.0.0.1",
        drain_s=0,
        log_level="error",
        ingest_token=None,
        admin_key=None,
        projection_paused=False,
        edges_base_url=edges.base_url,
        edges_api_key=edges.api_key,
        reconcile_silence_s=1,
    )


async def _run(
    inputs: int,
    out: Path,
    scenario: dict[str, Any],
    edges: SimulatedEdges,
    settings: Settings,
) -> Outcome:
    """One run, from its launch to its files."""
    async with (
        _collecting(settings) as collector,
        httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{settings.port}",
            headers={"Authorization": f"Bearer {collector.admin_key.value}"},
            trust_env=False,
        ) as api,
        httpx2.AsyncClient(headers={"X-API-Key": edges.api_key}, trust_env=False) as provider,
    ):
        started = monotonic()
        launched = await provider.post(
            f"{edges.base_url}/actions/{ACTION}/run/async",
            json={
                "inputs": [_input(number) for number in range(inputs)],
                "parameters": {"max_results": 100},
                "callback": {
                    "url": f"http://127.0.0.1:{settings.port}/callbacks",
                    "headers": {"Authorization": f"Bearer {collector.ingest_token.value}"},
                    "on": "all",
                },
            },
            headers={"X-Simulator-Scenario": json.dumps(scenario)},
        )
        launched.raise_for_status()
        run_uid = launched.json()["run_uid"]
        run_url = f"{edges.base_url}/runs/{run_uid}"
        run, at_edges = await _watch(api, provider, run_uid, run_url, inputs)
        took_s = monotonic() - started
        failed = await _download(api, run_uid, out)
    return Outcome(run, at_edges, inputs, failed, out, took_s)


@contextlib.asynccontextmanager
async def _collecting(settings: Settings) -> AsyncIterator[Collector]:
    """A collector that serves within this event loop."""
    collector = Collector(settings)
    server = create_server(collector)
    async with collector.running():
        serving = asyncio.ensure_future(server.serve())
        try:
            await server.listening.wait()
            yield collector
        finally:
            server.should_exit = True
            await serving


async def _watch(
    api: httpx2.AsyncClient,
    provider: httpx2.AsyncClient,
    run_uid: str,
    run_url: str,
    inputs: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Follow the run to its end, and a moment longer for what is late; both sides' view of it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("inputs, {task.fields[results]:,} results"),
        TimeElapsedColumn(),
    )
    changed_at, seen = monotonic(), -1
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("collecting", total=inputs, results=0)
        while True:
            at_edges = (await provider.get(run_url)).raise_for_status().json()
            answer = await api.get(f"/api/v1/runs/{run_uid}")
            run: dict[str, Any] = answer.json()
            counts = run.get("counts", Counter[str]())
            ended = counts["inputs_succeeded"] + counts["inputs_failed"]
            progress.update(task, completed=ended, results=counts["results"])
            arrived = counts["callbacks"] + counts["duplicates"]
            if arrived != seen:
                changed_at, seen = monotonic(), arrived
            is_whole = run.get("completeness") == "complete"
            is_short = run.get("completeness") == "incomplete"
            if is_whole or (is_short and monotonic() - changed_at > QUIET_S):
                return run, at_edges
            await asyncio.sleep(0.1)


async def _download(api: httpx2.AsyncClient, run_uid: str, out: Path) -> Counter[str]:
    """Write the three files; the failed inputs by error label."""
    run = f"/api/v1/runs/{run_uid}"
    failed_only = "status=FAILED&status=BLOCKED"
    urls = (
        f"{run}/results?format=csv",
        f"{run}/results?format=ndjson",
        f"{run}/inputs?{failed_only}&format=csv",
    )
    for url, name in zip(urls, FILES, strict=True):
        async with api.stream("GET", url) as answer:
            answer.raise_for_status()
            with (out / name).open("wb") as file:
                async for chunk in answer.aiter_bytes():
                    file.write(chunk)
    labels: Counter[str] = Counter()
    async with api.stream("GET", f"{run}/inputs?{failed_only}&format=ndjson") as answer:
        async for line in answer.aiter_lines():
            labels[json.loads(line)["error"]["label"]] += 1
    return labels


def _input(number: int) -> dict[str, Any]:
    return {
        "linkedin_profile_url": f"https://www.linkedin.com/in/lead-{number}",
        "custom_data": {"row_id": f"row-{number:05d}", "list": "demo"},
    }
