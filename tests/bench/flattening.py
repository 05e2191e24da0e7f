"""CSV of results: by plans, against a walk through each object; without a server or a store."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from app.canonical import dumps
from app.export.csv_writer import CsvWriter
from app.export.records import Result
from app.export.stream import result_columns
from app.export.table import result_lines
from app.simulator.results.draws import Draws
from app.simulator.results.people import person
from tests.bench.measures import Bench, Figure
from tests.export.catalogued import fields_of
from tests.export.walk import csv_by_walking

ROWS = 2_000
LEFT_OUT = {
    "about",
    "background_image_url",
    "birthday",
    "education",
    "industry",
    "is_hiring",
    "linkedin_company_url",
    "member_since",
    "mutual_connections_count",
    "sales_navigator_profile_url",
    "skills",
}
"""So that 27 fields and some 1.2 KB are left of each person."""


def flattening(bench: Bench) -> Iterator[Figure]:
    """Rows of CSV a second of one processor, the same bytes either way."""
    results = [_result(number) for number in range(ROWS)]
    columns = result_columns(fields_of(results))
    write = result_lines(CsvWriter(columns))
    if write(results) != csv_by_walking(columns, results):
        raise AssertionError("plans do not write what walking does")
    took_s: dict[str, list[float]] = {"plans": [], "walk": []}
    bench.say("flattening: CSV by plans and by walking")
    for _ in range(5 * bench.rounds):  # in turns, so that both meet the same neighbours
        took_s["plans"].append(_took_s(write, results))
        took_s["walk"].append(_took_s(lambda some: csv_by_walking(columns, some), results))
    plans, walk = (ROWS / min(took) for took in took_s.values())
    mean_bytes = sum(len(dumps(one.data)) for one in results) // ROWS
    detail = f"{plans:,.0f} rows/s; walk {walk:,.0f}; {len(columns)} columns, {mean_bytes:,} bytes"
    yield Figure("csv: plans / walk", plans / walk, 2, detail=detail)


def _took_s(write: Callable[[Sequence[Result]], bytes], results: Sequence[Result]) -> float:
    started = time.process_time()
    write(results)
    return time.process_time() - started


def _result(number: int) -> Result:
    row = f"row-{number}"
    return Result(
        run_uid="6f9c2f9a-8f0e-4f6b-9a53-0c8f3f8d1a01",
        result_id=f"{number:024x}-0",
        place=0,
        source="callback",
        callback_key=row,
        batch_uid=None,
        order_key=b"",
        input={"linkedin_profile_url": f"https://www.linkedin.com/in/{row}"},
        custom_data={"row_id": row, "list": "leads"},
        received_ms=1_700_000_000_000 + number,
        data=small_person(Draws(7, number, 0)),
    )


def small_person(draws: Draws) -> dict[str, Any]:
    """A person of some 1.2 KB."""
    data = {name: value for name, value in person(draws).items() if name not in LEFT_OUT}
    data["experiences"] = data["experiences"][:1]
    return data
