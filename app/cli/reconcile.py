"""`edges-collector reconcile`: compare runs with what Edges has, and fetch what is missing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from cyclopts import Parameter

from app.canonical import allow_deep_nesting
from app.cli.failures import fail
from app.cli.progress import Bar, bars
from app.cli.server import Record, Server, ServerError, Tell, server_at
from app.cli.settings import load_settings
from app.generated_secrets import SECRET_KEY_FILE, kept_secret
from app.log.group_commit import GroupCommit
from app.notify.sealing import Seal
from app.observe import configure_logging
from app.project.companion import projecting_beside
from app.reconcile.errors import EdgesApiError
from app.reconcile.opened import opened_reconciliation
from app.reconcile.passing import NotProjectedError, Progress
from app.reconcile.reconciler import Reconciler
from app.record import run_record
from app.settings import Settings
from app.store.database import store_of
from app.store.protocol import StoreError
from app.store.reader import Reader

WORKER_NAME = "reconcile"
AT_ONCE = 4
"""Runs that are reconciled side by side; they share one budget."""

_LISTED_AT_ONCE = 500

Ask = Callable[[str], Awaitable[Record]]
"""Reconciles a run; the run as the API shows it, with `problem` if that failed."""


def reconcile(
    *runs: Annotated[str, Parameter(name="RUN", help="Uids of runs.")],
    all_open: Annotated[bool, Parameter(help="All runs that are not complete.")] = False,
    url: Annotated[
        str | None,
        Parameter(
            env_var="COLLECTOR_URL",
            help="A running collector, to be asked instead of working on its database.",
        ),
    ] = None,
    api_key: Annotated[
        str | None, Parameter(env_var="COLLECTOR_API_KEY", help="An API key of that collector.")
    ] = None,
    timeout_s: Annotated[float, Parameter(help="How long to wait for each run.")] = 3600.0,
    as_json: Annotated[bool, Parameter(name="--json", help="A JSON object per run.")] = False,
) -> None:
    """Prove that runs are complete, and fetch from Edges what is missing.

    Also collects a run that never called back. Without --url it works on the database that
    the settings name; on SQLite, stop the collector first. What was learnt is kept however
    this ends, and the same command goes on from there.

    Exits with 0 if every run is complete, else with 1.

    Example: edges-collector reconcile --all-open
    """
    if not runs and not all_open:
        fail("name the runs, or give --all-open", code=2)
    configure_logging("warning", None)
    allow_deep_nesting()
    with bars() as bar:
        tell = _Telling(bar)
        try:
            if url is not None:
                server = server_at(url, api_key)
                done = asyncio.run(_at_server(server, runs, all_open, timeout_s, tell.run))
            else:
                done = _here(runs, all_open, timeout_s, tell)
        except (StoreError, ServerError) as error:
            fail(str(error))
    for record in done:
        sys.stdout.write((json.dumps(record) if as_json else line(record)) + "\n")
    if any(record.get("problem") or record["completeness"] != "complete" for record in done):
        sys.exit(1)


def line(record: Record) -> str:
    """A run as a sentence."""
    where = f"run {record['run_uid']}"
    if problem := record.get("problem"):
        return f"{where} failed: {problem}"
    counts, missing = record["counts"], record["missing"] or {}
    expected = counts["expected_results"]
    parts = [
        f"{counts['results']:,} results" + (f" of {expected:,}" if expected is not None else "")
    ]
    if missing.get("results"):
        parts.append(f"{missing['results']:,} missing")
    if missing.get("surplus_results"):
        parts.append(f"{missing['surplus_results']:,} more than Edges reports")
    if missing.get("inputs"):
        parts.append(f"{missing['inputs']:,} inputs without an end")
    parts.append(f"{counts['inputs_failed']:,} of {counts['inputs']:,} inputs failed")
    losses = record["losses"] or {}
    if losses.get("results") or losses.get("inputs"):
        parts.append(
            f"{losses['results']:,} results and {losses['inputs']:,} inputs recovered that no"
            " callback brought"
        )
    return f"{where} ({record['status']}) is {record['completeness']}: {', '.join(parts)}"


class _Telling:
    """A bar for each list that is read, or for each run that a server reads."""

    def __init__(self, bar: Callable[[str], Bar]) -> None:
        self._new_bar = bar
        self._bars: dict[tuple[str, str], Bar] = {}

    def __call__(self, progress: Progress) -> None:
        self._bar(progress.run_uid, progress.doing)(progress.rows, progress.rows)

    def run(self, record: Record) -> None:
        """How far a run is that is looked at from afar."""
        counts = record["counts"]
        expected = counts["expected_results"]
        bar = self._bar(record["run_uid"], "results")
        bar(counts["results"], counts["results"] if expected is None else expected)

    def _bar(self, run_uid: str, doing: str) -> Bar:
        key = (run_uid, doing)
        if key not in self._bars:
            self._bars[key] = self._new_bar(f"{doing} {run_uid[:8]}")
        return self._bars[key]


# ------------------------------------------------------------------ on the database


def _here(
    runs: Sequence[str], all_open: bool, timeout_s: float, tell: Callable[[Progress], None]
) -> list[Record]:
    settings = load_settings()
    if settings.edges_api_key is None:
        fail("set COLLECTOR_EDGES_API_KEY: without it Edges cannot be asked", code=2)

    async def reconciling() -> list[Record]:
        async with _opened(settings, tell) as (reconciler, reader):
            uids = [*runs, *(await _unproven(reader) if all_open else ())]

            async def one(run_uid: str) -> Record:
                try:
                    async with asyncio.timeout(timeout_s):
                        run = await reconciler.reconcile(run_uid)
                except (EdgesApiError, NotProjectedError, TimeoutError) as error:
                    problem = str(error) or f"not done within {timeout_s:g} s"
                    return {"run_uid": run_uid, "problem": problem}
                return run_record(run) if run else {"run_uid": run_uid, "problem": "unknown"}

            return await _each(uids, one)

    return asyncio.run(reconciling())


@asynccontextmanager
async def _opened(
    settings: Settings, tell: Callable[[Progress], None]
) -> AsyncIterator[tuple[Reconciler, Reader]]:
    store = store_of(settings, on_news=lambda: None)
    await store.open()
    await store.erasures.use_seal(_seal(settings))
    commits = GroupCommit(store.append)
    commits.start()
    try:
        with projecting_beside(settings, WORKER_NAME):
            async with opened_reconciliation(
                settings, store, commits.submit, on_progress=tell
            ) as edges:
                if edges is None:
                    raise StoreError("there is no key of the Edges API")
                yield edges.reconciler, store.reader
    finally:
        await commits.stop()
        await store.close()


def _seal(settings: Settings) -> Seal:
    """By which the database's own secrets are read, as the service does."""
    given = settings.secret_key
    current = given.get_secret_value() if given else kept_secret(settings.data_dir, SECRET_KEY_FILE)
    earlier = [one.get_secret_value() for one in settings.previous_secret_keys]
    return Seal(current if isinstance(current, str) else current.value, earlier)


async def _unproven(reader: Reader) -> list[str]:
    found: list[str] = []
    while runs := await reader.unproven_runs(
        after_uid=found[-1] if found else "", limit=_LISTED_AT_ONCE
    ):
        found += [run.run_uid for run in runs]
    return found


async def _each(uids: Sequence[str], ask: Ask) -> list[Record]:
    """Each run once, a few at a time; in the order given."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(run_uid: str) -> Record:
        async with free:
            return await ask(run_uid)

    return list(await asyncio.gather(*(one(uid) for uid in dict.fromkeys(uids))))


# ---------------------------------------------------------------------- at a server


async def _at_server(
    server: Server, runs: Sequence[str], all_open: bool, timeout_s: float, tell: Tell
) -> list[Record]:
    async with server:
        uids = [*runs, *(await server.unproven_runs() if all_open else ())]
        return await _each(uids, lambda run_uid: server.reconcile(run_uid, timeout_s, tell))
