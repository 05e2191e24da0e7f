"""`edges-collector copy`: move everything from SQLite to PostgreSQL, and prove that it arrived."""

import json
import sys
from dataclasses import dataclass
from time import monotonic
from typing import Annotated, Any

from cyclopts import Parameter

from app.canonical import allow_deep_nesting
from app.cli.failures import fail
from app.cli.progress import bars
from app.cli.settings import load_settings
from app.generated_secrets import SECRET_KEY_FILE
from app.project.companion import projecting_beside
from app.settings import Settings
from app.store.copying import CopyRefusedError, copy_log
from app.store.database import opened_for_copy
from app.store.protocol import NoLogError, SchemaError, StoreError
from app.store.verifying import Verdict, verify_derived, verify_log

WORKER_NAME = "copy"
"""Always the same, so that a copy goes on at once with what one that was killed was projecting.
Should that one's companion still be at it, what only one of the two has saved counts."""


def copy(
    *,
    source: Annotated[str, Parameter(name="--from", help="sqlite:///PATH of the log.")],
    target: Annotated[
        str,
        Parameter(
            name="--to",
            help="postgresql://USER@HOST/DATABASE, empty or from an earlier copy of the same log."
            " The password may come from PGPASSWORD or ~/.pgpass.",
        ),
    ],
    as_json: Annotated[bool, Parameter(name="--json", help="Say the outcome as JSON.")] = False,
) -> None:
    """Copy all that a collector keeps in SQLite to PostgreSQL, to serve from there.

    That is callbacks, quarantine, schedules, endpoints, sinks, events, deliveries and API keys.
    What was told is not told again. Stop the collector first, and serve from the target alone
    from then on. Cut off at any moment, the same command goes on where it was; run again after
    the source has grown, it copies what is new. In the end all of both is compared, and any
    difference is an error. The source is not changed.

    Example: edges-collector copy --from sqlite:///data/collector.db --to postgresql://me@db/edges
    """
    started = monotonic()
    given, wanted = _chosen(source, target)
    allow_deep_nesting()
    try:
        outcome = _copy(given, wanted)
    except (CopyRefusedError, NoLogError, SchemaError) as error:
        fail(str(error), code=2)
    except StoreError as error:
        fail(f"{error}. What was copied is kept: the same command goes on from there")
    seconds = monotonic() - started
    if as_json:
        sys.stdout.write(json.dumps(outcome.as_json(seconds)) + "\n")
    else:
        sys.stdout.write("\n".join(outcome.lines(seconds)) + "\n")
    if outcome.verdict.differences:
        fail(outcome.complaint())
    if advice := outcome.advice(given):
        sys.stderr.write("".join(f"edges-collector: {line}\n" for line in advice))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was copied, and how the two compare."""

    verdict: Verdict
    copied: int
    """Callbacks that were copied now; the others had been before."""
    results: int
    new_results: int

    def as_json(self, seconds: float) -> dict[str, Any]:
        """For a script."""
        verdict = self.verdict
        return {
            "verified": not verdict.differences,
            "callbacks": verdict.callbacks,
            "callbacks_copied_now": self.copied,
            "conflicts": verdict.conflicts,
            "duplicates": verdict.duplicates,
            "results": self.results,
            "runs": verdict.runs,
            "quarantined": verdict.quarantined,
            "schedules": verdict.schedules,
            "endpoints": verdict.endpoints,
            "events": verdict.events,
            "deliveries": verdict.deliveries,
            "pending_deliveries": verdict.pending_deliveries,
            "sinks": verdict.sinks,
            "api_keys": verdict.api_keys,
            "seconds": round(seconds, 3),
            "results_per_second": round(self.new_results / seconds),
            "differences": verdict.differences,
            "notes": verdict.notes,
        }

    def lines(self, seconds: float) -> list[str]:
        """For a reader."""
        verdict = self.verdict
        rows = {
            "Callbacks": f"{verdict.callbacks:,} in {verdict.runs:,} runs, {self.copied:,} of them"
            f" copied now; {verdict.conflicts:,} conflicts, {verdict.duplicates:,} duplicates",
            "Results": f"{self.results:,}, {self.new_results:,} of them projected now",
            "Quarantine": f"{verdict.quarantined:,}",
            "Schedules": f"{verdict.schedules:,}",
            "Events": f"{verdict.events:,}, {verdict.endpoints:,} endpoints,"
            f" {verdict.deliveries:,} deliveries, {verdict.pending_deliveries:,} of them pending",
            "Sinks": f"{verdict.sinks:,}",
            "API keys": f"{verdict.api_keys:,}",
            "Took": f"{seconds:.1f} s, {self.new_results / seconds:,.0f} results a second",
            "Verified": "no" if verdict.differences else "all of it is the same on both sides",
        }
        lines = [f"{name:<12}{text}" for name, text in rows.items()]
        return lines + [f"{'Note':<12}{note}" for note in verdict.notes]

    def advice(self, source: Settings) -> list[str]:
        """What is to be minded when the target is served; nothing if there is nothing sealed."""
        verdict = self.verdict
        if not verdict.endpoints and not verdict.sinks:
            return []
        secrets = (
            f"endpoints: {verdict.endpoints:,}, sinks: {verdict.sinks:,}. Their secrets are sealed:"
            " give the target's collectors the same COLLECTOR_SECRET_KEY. It is what the source's"
            f" collector was given, or else in the file {SECRET_KEY_FILE} of its data folder"
            f" ({source.log_path.parent})"
        )
        pending = (
            f"pending deliveries: {verdict.pending_deliveries:,}. Whoever serves from the target"
            " sends them, and writes to the sinks. Do not serve from the source any more, or both"
            " do"
        )
        return [secrets, pending]

    def complaint(self) -> str:
        """What differs."""
        lines = list(self.verdict.differences)
        if self.verdict.differences_left_out:
            lines.append(f"and {self.verdict.differences_left_out:,} more")
        return (
            "the copy is not the same as its source; do not serve from it. Drop its tables, and"
            " copy again:\n  " + "\n  ".join(lines)
        )


def _chosen(source: str, target: str) -> tuple[Settings, Settings]:
    """Settings with the one database and with the other; ends the program if they do not fit."""
    if not source.startswith("sqlite:///") or target.startswith("sqlite:"):
        fail("copying goes from SQLite to PostgreSQL alone: --from sqlite:///PATH", code=2)
    wanted = load_settings(database_url=target)
    if wanted.postgres_url is None:
        fail("--to: give postgresql://USER@HOST/DATABASE", code=2)
    return load_settings(database_url=source, role="all"), wanted


def _copy(given: Settings, wanted: Settings) -> Outcome:
    with (
        opened_for_copy(given, wanted) as (source, target),
        projecting_beside(wanted, WORKER_NAME) as companion,
        bars() as bar,
    ):
        results_before = target.results()
        copied = copy_log(source, target, bar("copying"))
        verdict = verify_log(source, target, bar("verifying"))
        if not verdict.differences:
            tell = bar("projecting")
            companion.wait(
                target.unprojected, lambda left: tell(verdict.callbacks - left, verdict.callbacks)
            )
            verify_derived(verdict, source, target)
        results = target.results()
    return Outcome(verdict, copied, results, results - results_before)
