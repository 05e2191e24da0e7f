"""`…/summary`: a run in figures."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer
from app.api.parameters import Parameters
from app.api.resources import resources_of, run_of
from app.api.result_schema import described
from app.export.sample import sample
from app.export.stream import snapshot
from app.record import time_of
from app.store.reader import Reader
from app.store.views import RunView

INTERVALS_MAX = 120
_SECOND_MS = 1_000
_HOUR_MS = 3_600_000
WIDTHS_MS = (
    *(seconds * _SECOND_MS for seconds in (1, 5, 15, 60, 300, 900)),
    *(hours * _HOUR_MS for hours in (1, 6, 24, 7 * 24)),
)
"""How long an interval may be: the shortest of which `INTERVALS_MAX` are enough is taken."""
RESULTS_LISTED_MAX = 50
"""Numbers of results that inputs may have, each listed; what is above is one group."""


PARAMETERS = ("columns",)


async def run_summary(request: Request) -> Response:
    """The figures of one run; `columns=false` leaves out what results have to be read for."""
    parameters = Parameters(request, PARAMETERS)
    with_columns = parameters.choice("columns", ("true", "false")) != "false"
    run = await run_of(request)
    resources = resources_of(request)
    reader = resources.reader
    statuses, errors, results, over_time = await asyncio.gather(
        reader.inputs_by_status(run.run_uid),
        reader.inputs_by_error(run.run_uid),
        reader.inputs_by_results(run.run_uid),
        _over_time(reader, run),
    )
    summary = {
        "run_uid": run.run_uid,
        "inputs_by_status": dict(statuses),
        "inputs_by_error": dict(errors),
        "inputs_by_results": _by_results(results),
        "over_time": over_time,
    }
    if with_columns:
        seen = await sample(reader, [run], resources.result_keys)
        summary |= described(await reader.fields([run.run_uid]), seen)
    return answer(summary)


def _by_results(counts: list[tuple[int, int]]) -> list[dict[str, int | None]]:
    """Inputs by how many results they have; the last group is open above if there are many."""
    listed: list[dict[str, int | None]] = [
        {"results": results, "to": results, "inputs": inputs}
        for results, inputs in counts[:RESULTS_LISTED_MAX]
    ]
    if rest := counts[RESULTS_LISTED_MAX:]:
        inputs = sum(count for _, count in rest)
        listed.append({"results": rest[0][0], "to": rest[-1][0], "inputs": inputs})
    return listed


async def _over_time(reader: Reader, run: RunView) -> dict[str, Any]:
    """Callbacks and results by interval; intervals in which nothing came are left out."""
    lasts_ms = run.last_received_ms - run.first_received_ms
    width_ms = next((one for one in WIDTHS_MS if lasts_ms < one * INTERVALS_MAX), WIDTHS_MS[-1])
    counts: dict[int, list[int]] = {}
    for number, callbacks, results in await reader.callbacks_over_time(run.run_uid, width_ms):
        counts[number] = [callbacks, results]
    for page in (await snapshot(reader, run)).counted_pages:
        found = counts.setdefault(page.received_ms // width_ms, [0, 0])
        found[1] += int.from_bytes(page.counted, "little").bit_count()
    return {
        "interval_s": width_ms // _SECOND_MS,
        "intervals": [
            {"from": time_of(number * width_ms), "callbacks": callbacks, "results": results}
            for number, (callbacks, results) in sorted(counts.items())
        ],
    }
