"""Health: whether all is well, what to do where it is not, and the collector in figures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from app.dashboard.asking import api_of
from app.dashboard.pages import render, signed_in

CHART_HEIGHT = 100
NOW_SPANS = 5
"""So many of the last spans are said to be now."""

NAMES = {
    "accepting": "Requests",
    "worker": "Worker",
    "store": "Database",
    "projection": "Projection",
    "reconciliation": "Comparing with Edges",
    "callback channel": "Callbacks that arrive",
    "endpoints": "Endpoints",
}
TO_DO = {
    "accepting": "It is being stopped. Callbacks that are refused meanwhile are sent again by"
    " Edges; start it again soon.",
    "worker": "Callbacks are kept, and nothing is lost, but runs do not move on. It is started"
    " again by itself; if it keeps ending, the collector's log says why.",
    "store": "Callbacks are refused with 503, and Edges sends them again for a while. See that the"
    " database runs and can be reached, and that its disk has room.",
    "projection": "Callbacks are kept, but runs show what was true a while ago. It catches up once"
    " fewer come in; if it does not, give the machine another processor, or a faster disk.",
}
OUTCOMES = {
    "stored": "kept, and counted",
    "duplicate": "came before, not counted again",
    "conflict": "another body under a known id, kept aside",
    "quarantined": "not understood, kept whole",
}
PARTS = {
    "log": "callbacks as they came",
    "projection": "runs, inputs and counts made of them",
    "outbox": "events and deliveries",
}


class Chart(NamedTuple):
    """Callbacks a second over the last minutes, as a path in a box of `width` by `CHART_HEIGHT`."""

    path: str
    width: int
    now: float
    peak: float
    minutes: float


@signed_in
async def health(request: Request) -> Response:
    """The page."""
    return render(request, "health.html", **await _context(request))


@signed_in
async def health_live(request: Request) -> Response:
    """What of it changes: a part that is asked for every two seconds."""
    return render(request, "health_live.html", **await _context(request))


async def _context(request: Request) -> dict[str, Any]:
    told = await api_of(request).get("health")
    recent = told["callbacks"]["recent"]
    return {
        "health": told,
        "chart": chart(recent["counts"], recent["span_s"]),
        "check_names": NAMES,
        "to_do": TO_DO,
        "outcome_words": OUTCOMES,
        "part_words": PARTS,
    }


def chart(counts: Sequence[int], span_s: int) -> Chart:
    """The chart of callbacks in each span, oldest first; its scale goes to the peak."""
    most = max(counts, default=0)
    parts = [f"M0 {CHART_HEIGHT}"]
    before = -1
    for place, count in enumerate(counts):
        if count != before:  # a line that stays level needs no point
            top = CHART_HEIGHT - (CHART_HEIGHT * count / most if most else 0)
            parts.append(f"H{place}V{top:.4g}")
            before = count
    parts.append(f"H{len(counts)}V{CHART_HEIGHT}Z")
    return Chart(
        "".join(parts),
        len(counts),
        sum(counts[-NOW_SPANS:]) / (NOW_SPANS * span_s),
        most / span_s,
        len(counts) * span_s / 60,
    )
