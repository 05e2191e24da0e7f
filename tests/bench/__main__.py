"""`make bench`: the figures, as ratios against baselines of the same run.

    python -m tests.bench [--only NAME,NAME] [--full] [--rounds 3] [--seconds 5] [--json FILE]

The server runs on core 0, wrk on core 1. Durable means synchronous=FULL; ids are distinct
with 1 % repeats; the rows are counted at the end.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from tests.bench.dashboards import dashboards
from tests.bench.exporting import downloads
from tests.bench.flattening import flattening
from tests.bench.load import require_programs
from tests.bench.measures import LONG, Bench, Figure
from tests.bench.measures import MEASURES as SQLITE_MEASURES
from tests.bench.merging import distinct
from tests.bench.notifying import notifying
from tests.bench.postgres import copying, outage, postgres_acknowledging, postgres_sustained
from tests.bench.reconciling import reconciling
from tests.bench.servers import scratch
from tests.bench.workbooks import workbooks

MEASURES = {
    **SQLITE_MEASURES,
    "flatten": flattening,
    "downloads": downloads,
    "xlsx": workbooks,
    "distinct": distinct,
    "reconcile": reconciling,
    "notify": notifying,
    "dashboard": dashboards,
    "pg-ack": postgres_acknowledging,
    "pg-sustained": postgres_sustained,
    "pg-outage": outage,
    "pg-copy": copying,
}
WITHOUT_WRK = {"flatten", "downloads", "distinct", "notify"}


def main() -> int:
    """Measure what was asked for; 0 if every target was reached, else 1."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", help="comma-separated: " + ", ".join(MEASURES))
    parser.add_argument("--full", action="store_true", help="also " + ", ".join(LONG))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(MEASURES)
    if unknown := set(names) - set(MEASURES):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    require_programs(with_wrk=bool(set(names) - WITHOUT_WRK))
    console = Console(stderr=True)
    figures: list[Figure] = []

    def say(text: str) -> None:
        console.print(f"[dim]{text}")

    for name in names:
        if name in LONG and not (given.full or given.only):
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch()))
        bench = Bench(
            folder, given.rounds, given.seconds, lambda text: console.print(f"[dim]{text}")
        )
        for figure in MEASURES[name](bench):
            figures.append(figure)
            print(line(figure), flush=True)
        shutil.rmtree(folder)
    if given.json:
        given.json.write_text(json.dumps([asdict(f) | {"is_met": f.is_met} for f in figures]))
    missed = [figure.name for figure in figures if not figure.is_met]
    print(f"{len(figures) - len(missed)} of {len(figures)} targets reached", flush=True)
    return 1 if missed else 0


def line(figure: Figure) -> str:
    """A figure as a line of the report."""
    bound = ">=" if figure.is_at_least else "<="
    verdict = "ok    " if figure.is_met else "MISSED"
    text = f"{verdict} {figure.name:<27} {figure.value:8.2f}  {bound} {figure.target:<6g}"
    return f"{text} {figure.detail}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
