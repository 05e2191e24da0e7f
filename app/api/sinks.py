"""`/api/v1/sinks`: where the results of runs go by themselves, and what became of each run."""

import asyncio
import contextlib
from time import monotonic, time_ns

from starlette.requests import Request
from starlette.responses import Response
from uuid_utils import uuid7

from app.api.json_body import json_object, validated
from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, not_found
from app.api.resources import Resources, resources_of
from app.canonical import Json
from app.model import timestamp
from app.notify.sealing import SealError
from app.record import Record, json_value, time_of
from app.sinks.location import Location, LocationError, SinkError
from app.sinks.standing import (
    SinkConfig,
    opened_address,
    read_config,
    sealed_address,
    shown_address,
    standing_location,
)
from app.sinks.targets import target_of
from app.store import cursor
from app.store.sink_rows import SinkRow, SinkRunRow

BODY_BYTES_MAX = 64 * 1024
SINKS_MAX = 100
ADDRESS_LENGTH_MAX = 2_048
TEST_TIMEOUT_S = 15.0

STATES = ("active", "paused")
RUN_STATES = ("pending", "done", "failed")
RUN_PARAMETERS = ("state", "limit", "cursor")


def _now_ms() -> int:
    return time_ns() // 1_000_000


async def list_sinks(request: Request) -> Response:
    """All sinks, oldest first."""
    Parameters(request, ())
    resources = resources_of(request)
    counts = await resources.reader.sink_run_counts()
    rows = await resources.store.outbox.sinks()
    return page(request, [_record(resources, row, counts) for row in rows], None)


async def get_sink(request: Request) -> Response:
    """One sink."""
    Parameters(request, ())
    return await _shown(request, await sink_of(request))


async def create_sink(request: Request) -> Response:
    """Make one: runs that complete from now on go there; with `backfill`, also those before."""
    Parameters(request, ())
    resources = resources_of(request)
    body = await json_object(request, BODY_BYTES_MAX) or {}
    to, state = _address(body.pop("to", None)), _state(body.pop("state", "active"))
    is_backfilled = _flag(body.pop("backfill", False))
    config = validated(SinkConfig, body)
    _location(resources, to, config)
    if len(await resources.store.outbox.sinks()) >= SINKS_MAX:
        raise ProblemError(409, "Too many", f"there are {SINKS_MAX} sinks already")
    sink_id, now_ms = f"sink_{uuid7().hex}", _now_ms()
    row = SinkRow(
        sink_id,
        state,
        config.model_dump_json(),
        sealed_address(resources.seal, sink_id, to),
        1,
        await resources.reader.last_event_no(),
        "" if is_backfilled else None,
        now_ms,
        now_ms,
    )
    await resources.store.outbox.add_sink(row)
    resources.wake_sinks()
    return answer(_record(resources, row, {}), 201, {"Location": f"/api/v1/sinks/{sink_id}"})


async def change_sink(request: Request) -> Response:
    """Change what is given of one; `state` pauses it, or makes it active again."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await sink_of(request)
    body = await json_object(request, BODY_BYTES_MAX) or {}
    state = _state(body.pop("state", row.state))
    is_backfilled = _flag(body.pop("backfill", False))
    is_moved = "to" in body
    to = _address(body.pop("to")) if is_moved else opened_address(resources.seal, row)
    config = validated(SinkConfig, read_config(row.config).model_dump() | body)
    _location(resources, to, config)
    changed = row._replace(
        state=state,
        config=config.model_dump_json(),
        secrets=sealed_address(resources.seal, row.sink_id, to) if is_moved else row.secrets,
        backfill_after="" if is_backfilled else row.backfill_after,
        updated_ms=_now_ms(),
    )
    if not await resources.store.outbox.change_sink(changed):
        raise ProblemError(
            409, "Changed meanwhile", "somebody else changed this sink: look again, then change"
        )
    resources.wake_sinks()
    return await _shown(request, await sink_of(request))


async def delete_sink(request: Request) -> Response:
    """Drop one; what it has written stays where it is."""
    Parameters(request, ())
    resources = resources_of(request)
    await resources.store.outbox.remove_sink((await sink_of(request)).sink_id)
    resources.wake_sinks()
    return Response(status_code=204)


async def test_sink(request: Request) -> Response:
    """Whether it can be reached and written to; nothing is, but for what tables it needs."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await sink_of(request)
    started, problem = monotonic(), None
    try:
        target = target_of(
            standing_location(
                opened_address(resources.seal, row), read_config(row.config).format,
                resources.sink_dir,
            )
        )  # fmt: skip
        try:
            async with asyncio.timeout(TEST_TIMEOUT_S):
                await target.open()
        finally:
            await target.close()
    except SinkError as error:
        problem = str(error)
    except TimeoutError:
        problem = f"no answer within {TEST_TIMEOUT_S:g} s"
    took_ms = round((monotonic() - started) * 1000)
    return answer({"is_reachable": problem is None, "problem": problem, "took_ms": took_ms})


async def list_sink_runs(request: Request) -> Response:
    """The runs of one with their last outcome, what changed last first."""
    parameters = Parameters(request, RUN_PARAMETERS)
    row, limit = await sink_of(request), parameters.limit()
    before = None
    if given := parameters.text("cursor"):
        changed_ms, run_uid = cursor.decode("sink runs", given, (int, str))
        before = (changed_ms, run_uid)
    rows = await resources_of(request).reader.sink_runs(
        row.sink_id,
        state=parameters.choice("state", RUN_STATES),
        before=before,
        limit=limit + 1,
    )
    next_cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        next_cursor = cursor.encode("sink runs", (last.changed_ms, last.run_uid))
    return page(request, [_run_record(one) for one in rows[:limit]], next_cursor)


async def write_run(request: Request) -> Response:
    """Write a run again, also if it is there as it is."""
    Parameters(request, ())
    resources = resources_of(request)
    row, run_uid = await sink_of(request), request.path_params["run_uid"]
    if await resources.reader.run(run_uid) is None:
        raise not_found(f"run {run_uid} here")
    await resources.store.outbox.ask_again(row.sink_id, run_uid, _now_ms())
    resources.wake_sinks()
    asked = await resources.reader.sink_run(row.sink_id, run_uid)
    if asked is None:
        raise not_found(f"sink {row.sink_id}")
    return answer(_run_record(asked), 202)


async def sink_of(request: Request) -> SinkRow:
    """The sink that the path names. Raises a 404."""
    sink_id = request.path_params["sink_id"]
    for row in await resources_of(request).store.outbox.sinks():
        if row.sink_id == sink_id:
            return row
    raise not_found(f"sink {sink_id}")


# ------------------------------------------------------------------ in and out


def _address(given: Json) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= ADDRESS_LENGTH_MAX:
        raise _bad("to", f"must be a text of at most {ADDRESS_LENGTH_MAX} characters")
    return given


def _state(given: Json) -> str:
    if given not in STATES:
        raise _bad("state", f"must be one of {', '.join(STATES)}")
    return str(given)


def _flag(given: Json) -> bool:
    if not isinstance(given, bool):
        raise _bad("backfill", "must be true or false")
    return given


def _location(resources: Resources, to: str, config: SinkConfig) -> Location:
    try:
        return standing_location(to, config.format, resources.sink_dir)
    except LocationError as error:
        raise _bad("to", str(error)) from None


def _bad(name: str, problem: str) -> ProblemError:
    return ProblemError(400, "Bad body", f"{name}: {problem}", pointer=f"#/{name}")


async def _shown(request: Request, row: SinkRow) -> Response:
    resources = resources_of(request)
    return answer(_record(resources, row, await resources.reader.sink_run_counts()))


def _record(resources: Resources, row: SinkRow, counts: dict[tuple[str, str], int]) -> Record:
    """A sink without its password; without an address, if that cannot be read any more."""
    to = None
    with contextlib.suppress(SealError):
        to = shown_address(opened_address(resources.seal, row))
    return {
        "id": row.sink_id,
        "state": row.state,
        "to": to,
        **read_config(row.config).model_dump(),
        "is_backfilling": row.backfill_after is not None,
        "runs": {state: counts.get((row.sink_id, state), 0) for state in RUN_STATES},
        "created_at": timestamp(row.created_ms),
        "updated_at": timestamp(row.updated_ms),
    }


def _run_record(row: SinkRunRow) -> Record:
    return {
        "run_uid": row.run_uid,
        "state": row.state,
        "next_try_at": timestamp(row.due_ms) if row.state == "pending" else None,
        "failed_tries": row.tries,
        "last_problem": row.problem,
        "version": row.written_version,
        "rows": row.row_count,
        "took_ms": row.took_ms,
        "notes": json_value(row.notes) if row.notes else [],
        "written_at": time_of(row.written_ms),
        "changed_at": timestamp(row.changed_ms),
    }
