"""The OpenAPI document's part about exports that are made in the background."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.api import exports, results
from app.api.operations import (
    FILE_PARAMETERS,
    PARAMETERS,
    READ_PROBLEMS,
    in_path,
    json_answer,
    operation,
    problems,
    read,
)
from app.api.schema import Timestamp

_EXPORT = ("export_id",)
_OF_PAGES = ("limit", "cursor")


class Export(BaseModel):
    """A file that was asked for."""

    export_id: str
    state: Literal["queued", "running", "done", "failed", "expired"]
    format: str
    request: Annotated[dict[str, Any], Field(description="As it was sent.")]
    rows: Annotated[int | None, Field(description="Results read so far.")]
    rows_expected: Annotated[int | None, Field(description="null where that is not known.")]
    bytes: int | None
    progress: Annotated[float | None, Field(description="From 0 to 1, where it is known.")]
    completeness: Annotated[
        Literal["open", "unverified", "incomplete", "complete"] | None,
        Field(description="The least of the runs in it, when it was begun."),
    ]
    runs_open: Annotated[int | None, Field(description="How many runs in it were open then.")]
    next_cursor: Annotated[str | None, Field(description="Of a delta: `after` of the next one.")]
    created_at: Timestamp
    finished_at: Timestamp | None
    expires_at: Timestamp | None
    file_url: Annotated[str | None, Field(description="Where the file is, once it is done.")]
    problem: Annotated[str | None, Field(description="Why there is none, and what to do.")]


class ExportPage(BaseModel):
    """A page of exports, newest first."""

    data: list[Export]
    next_cursor: str | None


MODELS: tuple[type[BaseModel], ...] = (Export, ExportPage)


def paths() -> dict[str, Any]:
    """By path."""
    export = "/api/v1/exports/{export_id}"
    return {
        "/api/v1/exports": {
            "get": read(
                "listExports", "Files that were asked for", "ExportPage", exports.LIST_PARAMETERS
            ),
            "post": _create(),
        },
        export: {
            "get": read("getExport", "How far a file is", "Export", path=_EXPORT),
            "delete": {
                **operation("deleteExport", "Drop a file, or give it up", _EXPORT),
                "responses": {"204": {"description": "Gone."}, **READ_PROBLEMS},
            },
        },
        f"{export}/file": {"get": _file()},
    }


def _create() -> dict[str, Any]:
    known = PARAMETERS | FILE_PARAMETERS
    members = {
        name: known.get(name, {}).get("schema", {"type": "string"})
        for name in results.MERGED_PARAMETERS
        if name not in _OF_PAGES
    }
    members["custom_data"] = {"type": "object", "additionalProperties": {"type": "string"}}
    body = {"type": "object", "required": ["format"], "properties": members}
    return {
        **operation("createExport", "Have a file made, as a download would be"),
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string", "maxLength": 200},
                "description": "The same key gives the same export, however often it is sent.",
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "202": {
                **json_answer("Export", "It is waiting; `Location` says where to look."),
                "headers": {"Location": {"schema": {"type": "string"}}},
            },
            **READ_PROBLEMS,
            **problems(
                {
                    "409": "The Idempotency-Key was given with another request.",
                    "413": "The body is too large.",
                    "429": "Too many files wait to be made.",
                }
            ),
        },
    }


def _file() -> dict[str, Any]:
    binary = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    headers = {name: {"schema": {"type": "string"}} for name in ("ETag", "Content-Disposition")}
    return {
        **operation("getExportFile", "The file, or ranges of it"),
        "parameters": [
            in_path("export_id"),
            *(
                {"name": name, "in": "header", "schema": {"type": "string"}}
                for name in ("Range", "If-Range", "If-None-Match")
            ),
        ],
        "responses": {
            "200": {"description": "The file.", "headers": headers, "content": binary},
            "206": {"description": "What was asked for of it.", "content": binary},
            "304": {"description": "It is the one that is known."},
            **READ_PROBLEMS,
            **problems(
                {
                    "409": "It is not made yet, or could not be.",
                    "410": "It was kept for its time, and is gone.",
                    "503": "This replica does not find it, or the store cannot answer now.",
                }
            ),
            "416": {"description": "There is no such range."},
        },
    }
