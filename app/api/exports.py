"""`/api/v1/exports`: files that are made in the background, and kept for a while."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from time import time_ns
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from uuid_utils import uuid7

from app.api.downloads import FileAnswer
from app.api.json_body import json_object
from app.api.pages import answer, page
from app.api.parameters import Parameters
from app.api.problems import ProblemError, not_found
from app.api.resources import resources_of
from app.api.results import merged_results
from app.canonical import Json, canonical
from app.export.jobs import ExportRefusedError, OpenedFile
from app.model import timestamp
from app.record import Record, time_of
from app.store import cursor
from app.store.export_jobs import ExportRow

BODY_BYTES_MAX = 256 * 1024
WAITING_MAX = 100
"""Files that may wait to be made."""

LIST_PARAMETERS = ("limit", "cursor")
_KEY_LENGTH_MAX = 200
_RETRY_AFTER_S = 5
_RESULTS = "/api/v1/results"


async def create_export(request: Request) -> Response:
    """Ask for a file, as a download of results is asked for."""
    Parameters(request, ())
    resources = resources_of(request)
    key = _idempotency_key(request)
    asked = await json_object(request, BODY_BYTES_MAX) or {}
    await (await _file(request.app, asked)).close()  # refused here rather than later
    if await resources.store.exports.waiting() >= WAITING_MAX:
        raise ProblemError(
            429,
            "Too many exports",
            f"{WAITING_MAX} files wait to be made: ask again once some are",
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        )
    text = canonical(asked).decode()
    row = await resources.store.exports.add(
        ExportRow(str(uuid7()), key, text, "queued", 0, "{}", time_ns() // 1_000_000)
    )
    if row.request != text:
        raise ProblemError(
            409, "Another export", "this Idempotency-Key was given with another request before"
        )
    resources.wake_exports()
    headers = {"Location": f"/api/v1/exports/{row.export_id}"}
    return answer(_record(row), 202, headers)


async def list_exports(request: Request) -> Response:
    """The newest first."""
    parameters = Parameters(request, LIST_PARAMETERS)
    limit, before = parameters.limit(), None
    if given := parameters.text("cursor"):
        (before,) = cursor.decode("exports", given, (str,))
    jobs = resources_of(request).store.exports
    rows = await jobs.page(before=before, limit=limit + 1)
    following = None
    if len(rows) > limit:
        following = cursor.encode("exports", (rows[limit - 1].export_id,))
    return page(request, [_record(row) for row in rows[:limit]], following)


async def get_export(request: Request) -> Response:
    """How far one is."""
    Parameters(request, ())
    return answer(_record(await _row_of(request)))


async def delete_export(request: Request) -> Response:
    """Drop one, with its file; what is being made is given up."""
    Parameters(request, ())
    resources = resources_of(request)
    row = await _row_of(request)
    await resources.store.exports.remove(row.export_id)
    await asyncio.to_thread(resources.export_folder.remove, row.export_id)
    resources.wake_exports()
    return Response(status_code=204)


async def get_export_file(request: Request) -> Response:
    """The file, or ranges of it."""
    Parameters(request, ())
    row = await _row_of(request)
    state = _state(row)
    if state == "expired":
        raise ProblemError(410, "The file is gone", "it was kept for its time: ask for it again")
    if state != "done":
        facts = orjson.loads(row.facts)
        raise ProblemError(
            409,
            "There is no file yet" if state != "failed" else "There is no file",
            facts.get("problem") or f"the export is {state}: look at it until it is done",
            headers={"Retry-After": str(_RETRY_AFTER_S)} if state != "failed" else None,
        )
    folder = resources_of(request).export_folder
    path = folder.file(row.export_id)
    if not path.is_file():
        raise ProblemError(
            503,
            "The file is not here",
            f"this replica does not find it in {folder.path}: let COLLECTOR_EXPORT_DIR name a"
            " folder that all replicas share; or ask for the file again",
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        )
    return _served(request, path, orjson.loads(row.facts))


def _served(request: Request, path: Path, facts: Mapping[str, Any]) -> Response:
    headers = {
        "ETag": f'"{facts["sha256"]}"',
        "Content-Disposition": facts["disposition"],
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        **facts["headers"],
    }
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or headers["ETag"] in [
        one.strip().removeprefix("W/") for one in known.split(",")
    ]:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type=facts["media_type"])


async def _row_of(request: Request) -> ExportRow:
    export_id = request.path_params["export_id"]
    row = None
    if re.fullmatch(r"[0-9a-f-]{36}", export_id):
        row = await resources_of(request).store.exports.one(export_id)
    if row is None:
        raise not_found(f"export {export_id}; /api/v1/exports lists them")
    return row


async def opened(application: Starlette, asked: Mapping[str, Json]) -> OpenedFile:
    """The file that a request asks for. Raises ExportRefusedError or StoreUnavailableError."""
    try:
        return await _file(application, asked)
    except ProblemError as error:
        raise ExportRefusedError(error.detail) from error


async def _file(application: Starlette, asked: Mapping[str, Json]) -> OpenedFile:
    """What a download with the same options gives. Raises its problems."""
    if "format" not in asked:
        raise ProblemError(400, "Bad body", "format: is needed", pointer="#/format")
    request = Request(
        {
            "type": "http",
            "method": "GET",
            "path": _RESULTS,
            "query_string": urlencode(_pairs(asked)).encode(),
            "headers": [],
            "path_params": {},
            "app": application,
        }
    )
    file = await merged_results(request)
    if not isinstance(file, FileAnswer):
        raise ProblemError(400, "Bad body", "format: must be one of a file", pointer="#/format")
    facts: dict[str, Json] = {
        "media_type": file.headers["content-type"],
        "disposition": file.headers["content-disposition"],
        "rows_expected": file.facts.rows_expected,
        "completeness": file.facts.completeness,
        "runs_open": file.facts.runs_open,
        "next_cursor": file.facts.next_cursor,
        "headers": file.facts.headers,
    }
    return OpenedFile(file.body_iterator, file.written, facts)  # type: ignore[arg-type]


def _pairs(asked: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Members of the body as query parameters. Raises a 400 for what can be none."""
    pairs: list[tuple[str, str]] = []
    for name, value in asked.items():
        if name == "custom_data" and isinstance(value, dict):
            pairs += ((f"{name}.{path}", _spelled(name, one)) for path, one in value.items())
        else:
            many = value if isinstance(value, list) else [value]
            pairs += ((name, _spelled(name, one)) for one in many)
    return pairs


def _spelled(name: str, value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return str(value)
    raise ProblemError(
        400,
        "Bad body",
        f"{name}: must be a text, a number, true or false, or a list of them",
        pointer=f"#/{name}",
    )


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= _KEY_LENGTH_MAX:
        raise ProblemError(
            400, "Bad header", f"Idempotency-Key: must have 1 to {_KEY_LENGTH_MAX} characters"
        )
    return key


def _state(row: ExportRow) -> str:
    is_over = row.expires_ms is not None and row.expires_ms <= time_ns() // 1_000_000
    return "expired" if row.state == "done" and is_over else row.state


def _record(row: ExportRow) -> Record:
    facts: dict[str, Any] = orjson.loads(row.facts)
    request = orjson.loads(row.request)
    state = _state(row)
    rows, expected = facts.get("rows"), facts.get("rows_expected")
    progress = None
    if state in ("done", "expired"):
        progress = 1.0
    elif expected:
        progress = min(1.0, round((rows or 0) / expected, 3))
    return {
        "export_id": row.export_id,
        "state": state,
        "format": request["format"],
        "request": request,
        "rows": rows,
        "rows_expected": expected,
        "bytes": facts.get("bytes"),
        "progress": progress,
        "completeness": facts.get("completeness"),
        "runs_open": facts.get("runs_open"),
        "next_cursor": facts.get("next_cursor"),
        "created_at": timestamp(row.created_ms),
        "finished_at": time_of(row.finished_ms),
        "expires_at": time_of(row.expires_ms),
        "file_url": f"/api/v1/exports/{row.export_id}/file" if state == "done" else None,
        "problem": facts.get("problem"),
    }
