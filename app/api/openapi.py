"""/openapi.json: OpenAPI 3.1, written from the same routes and types that answer."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app import __version__
from app.api import callbacks, inputs, quarantine, reconciling, results, runs, schedules, schema
from app.export.formats import FORMATS
from app.store.views import RUN_SORTS

_MODELS: tuple[type[BaseModel], ...] = (
    schema.CallbackAnswer,
    schema.QuarantineAnswer,
    schema.Run,
    schema.Asked,
    schema.RunPage,
    schema.ResultPage,
    schema.InputPage,
    schema.CallbackPage,
    schema.QuarantinePage,
    schema.SchedulePage,
    schema.Schedule,
    schema.ScheduleDetail,
    schema.Problem,
    schema.Readiness,
)

_PARAMETERS: dict[str, dict[str, Any]] = {
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
    "cursor": {"description": "`next_cursor` of the page before."},
    "format": {
        "schema": {"type": "string", "enum": list(FORMATS)},
        "description": "Stream everything as a file instead of a page.",
    },
    "shape": {
        "schema": {"type": "string", "enum": ["flat", "record"]},
        "description": "Rows as flat columns, or as nested records.",
    },
    "sort": {"schema": {"type": "string", "enum": list(RUN_SORTS), "default": "-created"}},
    "q": {"description": "Part of a run uid, or a value of some custom_data."},
    "created_after": {"schema": {"type": "string", "format": "date-time"}},
    "received_after": {"schema": {"type": "string", "format": "date-time"}},
    "run_uid": {"schema": {"type": "array", "items": {"type": "string"}}},
    "status": {"schema": {"type": "array", "items": {"type": "string"}}},
    "seq": {"schema": {"type": "integer", "minimum": 0}},
    "incomplete": {
        "schema": {"type": "string", "enum": ["false", "true"], "default": "false"},
        "description": "Go on although results are missing, which may be lost for good.",
    },
}
_CUSTOM_DATA = {
    "name": "custom_data",
    "in": "query",
    "style": "deepObject",
    "description": "`custom_data.<path>=<value>`: only what belongs to inputs that carry it.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}


def document(title: str = "Edges collector") -> dict[str, Any]:
    """The OpenAPI document."""
    _, definitions = models_json_schema(
        [(model, "serialization") for model in _MODELS],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": __version__,
            "description": "The callback URL for bulk runs of Edges actions.",
        },
        "paths": _paths(),
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "ingestToken": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _paths() -> dict[str, Any]:
    run = "/api/v1/runs/{run_uid}"
    entry = "/api/v1/quarantine/{quarantine_id}"
    schedule = "/api/v1/schedules/{scheduled_run_uid}"
    callback = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": {
            "200": _json("CallbackAnswer", "Durable, and counted once."),
            "202": _json("QuarantineAnswer", "Durable, but no callback we know."),
            **_problems(
                {
                    "400": "Not JSON; kept in quarantine.",
                    "401": "The ingest token is missing or wrong.",
                    "413": "The body is too large.",
                    "415": "An encoding or a type that is not taken.",
                    "503": "The store cannot take it now: send it again after `Retry-After`.",
                }
            ),
        },
    }
    return {
        "/callbacks": {
            "post": {
                **callback,
                "operationId": "receiveCallback",
                "summary": "Take a callback of Edges",
                "security": [{"ingestToken": []}],
            }
        },
        "/callbacks/{token}": {
            "post": {
                **callback,
                "operationId": "receiveCallbackByUrl",
                "summary": "Likewise, where only a URL can be set",
                "parameters": [_in_path("token")],
                "security": [],
            }
        },
        "/api/v1/runs": {
            "get": _read("listRuns", "Runs, newest first", "RunPage", runs.LIST_PARAMETERS)
        },
        run: {"get": _read("getRun", "One run", "Run", path=("run_uid",))},
        f"{run}/reconcile": {"post": _ask_edges("reconcileRun", "Compare a run with Edges now")},
        f"{run}/resume": {"post": _ask_edges("resumeRun", "Have Edges go on with a stopped run")},
        f"{run}/continue": {
            "post": _ask_edges(
                "continueRun",
                "Have Edges fetch what is new for an incremental run",
                reconciling.CONTINUE_PARAMETERS,
            )
        },
        f"{run}/cancel": {"post": _ask_edges("cancelRun", "Have Edges stop a run")},
        f"{run}/results": {
            "get": _read(
                "listRunResults",
                "The results of a run: a page, or a download",
                "ResultPage",
                results.RUN_PARAMETERS,
                path=("run_uid",),
                is_file=True,
            )
        },
        f"{run}/inputs": {
            "get": _read(
                "listRunInputs",
                "The inputs of a run, failed ones with their error",
                "InputPage",
                inputs.PARAMETERS,
                path=("run_uid",),
                is_file=True,
            )
        },
        f"{run}/callbacks": {
            "get": _read(
                "listRunCallbacks",
                "The log of a run",
                "CallbackPage",
                callbacks.PARAMETERS,
                path=("run_uid",),
            )
        },
        f"{run}/callbacks/{{callback_ref_uid}}/raw": {
            "get": _read(
                "getRawCallback",
                "A body exactly as received",
                None,
                ("seq",),
                path=("run_uid", "callback_ref_uid"),
            )
        },
        "/api/v1/results": {
            "get": _read(
                "listResults",
                "Results merged over runs: a page, or a download",
                "ResultPage",
                results.MERGED_PARAMETERS,
                is_file=True,
            )
        },
        "/api/v1/schedules": {
            "get": _read(
                "listSchedules", "Schedules of Edges", "SchedulePage", schedules.LIST_PARAMETERS
            )
        },
        schedule: {
            "get": _read(
                "getSchedule",
                "A schedule with its runs, its next and its last iterations",
                "ScheduleDetail",
                path=("scheduled_run_uid",),
            )
        },
        f"{schedule}/{{action}}": {"post": _act_on_schedule()},
        "/api/v1/quarantine": {
            "get": _read(
                "listQuarantine", "Bodies not understood", "QuarantinePage", quarantine.PARAMETERS
            )
        },
        entry: {
            "delete": {
                **_operation("deleteQuarantined", "Drop an entry", path=("quarantine_id",)),
                "responses": {"204": {"description": "Gone."}, **_READ_PROBLEMS},
            }
        },
        f"{entry}/raw": {
            "get": _read(
                "getRawQuarantined", "A body exactly as received", None, path=("quarantine_id",)
            )
        },
        f"{entry}/reprocess": {
            "post": {
                **_operation("reprocess", "Read an entry again", path=("quarantine_id",)),
                "responses": {
                    "200": _json("CallbackAnswer", "It is a callback now, and in the log."),
                    **_READ_PROBLEMS,
                    **_problems({"409": "Still not a callback; it stays."}),
                },
            }
        },
        "/healthz": _health("healthz", "Alive"),
        "/readyz": {
            "get": {
                "operationId": "readyz",
                "summary": "Ready, with a reason for each check",
                "security": [],
                "responses": {
                    "200": _json("Readiness", "Ready."),
                    "503": _json("Readiness", "Not ready."),
                },
            }
        },
        "/metrics": _health("metrics", "Prometheus metrics"),
    }


def _json(model: str, description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
    }


def _problems(descriptions: dict[str, str]) -> dict[str, Any]:
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {
            "description": description,
            "content": {"application/problem+json": reference},
        }
        for status, description in descriptions.items()
    }


_READ_PROBLEMS = _problems(
    {
        "400": "A parameter is unknown or bad; the answer names it.",
        "401": "The API key is missing or wrong.",
        "404": "No such thing.",
        "503": "The store cannot answer now.",
    }
)


_EDGES_PROBLEMS = _problems(
    {
        "409": "There is no key of the Edges API, Edges refuses it, or results are missing yet.",
        "422": "Edges refused; `error` is what it said.",
        "502": "Edges gave an answer of no use.",
        "503": "Edges, or the store, cannot answer now: see `Retry-After`.",
        "504": "It is unknown whether Edges did it: look before you try again.",
    }
)


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _operation(name: str, summary: str, path: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"apiKey": []}],
        "parameters": [_in_path(part) for part in path],
    }


def _read(
    name: str,
    summary: str,
    model: str | None,
    query: tuple[str, ...] = (),
    *,
    path: tuple[str, ...] = (),
    is_file: bool = False,
) -> dict[str, Any]:
    operation = _operation(name, summary, path)
    for parameter in query:
        operation["parameters"].append(
            {"name": parameter, "in": "query", "schema": {"type": "string"}}
            | _PARAMETERS.get(parameter, {})
        )
    ok: dict[str, Any] = {"description": "The body."}
    if model is not None:
        ok = _json(model, "The rows.")
    if is_file:
        operation["parameters"].append(_CUSTOM_DATA)
        ok["content"] |= {
            writer.media_type.partition(";")[0]: {"schema": {"type": "string"}}
            for writer in FORMATS.values()
            if writer.media_type != "application/json"
        }
    return {**operation, "responses": {"200": ok, **_READ_PROBLEMS}}


def _ask_edges(name: str, summary: str, query: tuple[str, ...] = ()) -> dict[str, Any]:
    operation = _operation(name, summary, path=("run_uid",))
    operation["parameters"] += [
        {"name": parameter, "in": "query", **_PARAMETERS[parameter]} for parameter in query
    ]
    is_act = name != "reconcileRun"
    return {
        **operation,
        "responses": {
            "202": _json(*(("Run", "The run as it is then.") if is_act else ("Asked", "Asked."))),
            **_READ_PROBLEMS,
            **_EDGES_PROBLEMS,
        },
    }


def _act_on_schedule() -> dict[str, Any]:
    operation = _operation(
        "actOnSchedule", "Change a schedule at Edges", path=("scheduled_run_uid", "action")
    )
    operation["parameters"][-1]["schema"] = {"type": "string", "enum": list(schedules.ACTIONS)}
    return {
        **operation,
        "requestBody": {
            "required": False,
            "description": "What is to change; of `update` alone, and passed on as it is.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": {
            "200": _json("Schedule", "The schedule as it is then."),
            **_READ_PROBLEMS,
            **_EDGES_PROBLEMS,
            **_problems({"413": "The body is too large."}),
        },
    }


def _health(name: str, summary: str) -> dict[str, Any]:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "security": [],
            "responses": {"200": {"description": "So it is."}},
        }
    }
