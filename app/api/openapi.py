"""/openapi.json: OpenAPI 3.1, written from the same routes and types that answer."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from app import __version__
from app.api import (
    callbacks,
    erasures,
    event_paths,
    export_paths,
    inputs,
    instance_paths,
    key_paths,
    quarantine,
    reconciling,
    result_schema,
    results,
    runs,
    schedules,
    schema,
    sink_paths,
    summary,
)
from app.api.auth import ScopedRoute
from app.api.operations import (
    EDGES_PROBLEMS,
    OF_INPUTS,
    PARAMETERS,
    READ_PROBLEMS,
    health,
    in_path,
    json_answer,
    operation,
    problems,
    read,
)

_MODELS: tuple[type[BaseModel], ...] = (
    schema.CallbackAnswer,
    schema.QuarantineAnswer,
    schema.Run,
    schema.Asked,
    schema.RunPage,
    schema.ResultPage,
    schema.ResultSchema,
    schema.RunSummary,
    schema.InputPage,
    schema.CallbackPage,
    schema.QuarantinePage,
    schema.SchedulePage,
    schema.Schedule,
    schema.ScheduleDetail,
    schema.Problem,
    schema.Readiness,
    schema.Erasure,
    schema.ErasurePage,
    *event_paths.MODELS,
    *export_paths.MODELS,
    *instance_paths.MODELS,
    *sink_paths.MODELS,
    *key_paths.MODELS,
)


def document(routes: Iterable[BaseRoute], title: str = "Edges collector") -> dict[str, Any]:
    """The OpenAPI document; `routes` say which scope each operation needs."""
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
        "paths": _scoped(_paths(), routes),
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "ingestToken": {"type": "http", "scheme": "bearer"},
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. What an operation needs of `read`, `write` and"
                    " `admin` stands with it; each includes those before it.",
                },
            },
        },
    }


def _paths() -> dict[str, Any]:
    run = "/api/v1/runs/{run_uid}"
    erasure = "/api/v1/erasures/{erasure_id}"
    entry = "/api/v1/quarantine/{quarantine_id}"
    schedule = "/api/v1/schedules/{scheduled_run_uid}"
    callback = {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": {
            "200": json_answer("CallbackAnswer", "Durable, and counted once."),
            "202": json_answer("QuarantineAnswer", "Durable, but no callback we know."),
            **problems(
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
                "parameters": [in_path("token")],
                "security": [],
            }
        },
        "/api/v1/runs": {
            "get": read("listRuns", "Runs, newest first", "RunPage", runs.LIST_PARAMETERS)
        },
        run: {
            "get": read("getRun", "One run", "Run", path=("run_uid",)),
            "delete": _erase("deleteRun", "Erase a run, and keep it out", path=("run_uid",)),
        },
        "/api/v1/people": {
            "delete": _erase(
                "deletePerson",
                "Erase a person from every run, and keep them out",
                erasures.PERSON_PARAMETERS,
            )
        },
        "/api/v1/erasures": {
            "get": read("listErasures", "What was erased", "ErasurePage", erasures.LIST_PARAMETERS)
        },
        erasure: {
            "get": read(
                "getErasure", "An erasure, and how far it is", "Erasure", path=("erasure_id",)
            )
        },
        f"{erasure}/lift": {
            "post": {
                **operation("liftErasure", "Let in again what it keeps out", path=("erasure_id",)),
                "responses": {
                    "200": json_answer("Erasure", "It keeps nothing out any more."),
                    **READ_PROBLEMS,
                    **problems({"409": "It keeps nothing out."}),
                },
            }
        },
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
        f"{run}/summary": {
            "get": read(
                "getRunSummary",
                "A run in figures",
                "RunSummary",
                summary.PARAMETERS,
                path=("run_uid",),
            )
        },
        f"{run}/results": {
            "get": read(
                "listRunResults",
                "The results of a run: a page, or a download",
                "ResultPage",
                results.RUN_PARAMETERS,
                path=("run_uid",),
                is_file=True,
            )
        },
        f"{run}/results/schema": {
            "get": read(
                "getRunResultSchema",
                "What the results of a run look like, and how full their columns are",
                "ResultSchema",
                path=("run_uid",),
            )
        },
        f"{run}/inputs": {
            "get": read(
                "listRunInputs",
                "The inputs of a run, failed ones with their error",
                "InputPage",
                inputs.PARAMETERS,
                path=("run_uid",),
                is_file=True,
                special=OF_INPUTS,
            )
        },
        f"{run}/callbacks": {
            "get": read(
                "listRunCallbacks",
                "The log of a run",
                "CallbackPage",
                callbacks.PARAMETERS,
                path=("run_uid",),
            )
        },
        f"{run}/callbacks/{{callback_ref_uid}}/raw": {
            "get": read(
                "getRawCallback",
                "A body exactly as received",
                None,
                ("seq",),
                path=("run_uid", "callback_ref_uid"),
            )
        },
        "/api/v1/results": {
            "get": read(
                "listResults",
                "Results merged over runs: a page, or a download",
                "ResultPage",
                results.MERGED_PARAMETERS,
                is_file=True,
            )
        },
        "/api/v1/results/schema": {
            "get": read(
                "getResultSchema",
                "What the results of several runs look like together",
                "ResultSchema",
                result_schema.MERGED_PARAMETERS,
                by_custom_data=True,
            )
        },
        "/api/v1/schedules": {
            "get": read(
                "listSchedules", "Schedules of Edges", "SchedulePage", schedules.LIST_PARAMETERS
            )
        },
        schedule: {
            "get": read(
                "getSchedule",
                "A schedule with its runs, its next and its last iterations",
                "ScheduleDetail",
                schedules.DETAIL_PARAMETERS,
                path=("scheduled_run_uid",),
            )
        },
        f"{schedule}/{{action}}": {"post": _act_on_schedule()},
        "/api/v1/quarantine": {
            "get": read(
                "listQuarantine", "Bodies not understood", "QuarantinePage", quarantine.PARAMETERS
            )
        },
        entry: {
            "get": read(
                "getQuarantined",
                "An entry of the quarantine",
                "Quarantined",
                path=("quarantine_id",),
            ),
            "delete": {
                **operation("deleteQuarantined", "Drop an entry", path=("quarantine_id",)),
                "responses": {"204": {"description": "Gone."}, **READ_PROBLEMS},
            },
        },
        f"{entry}/raw": {
            "get": read(
                "getRawQuarantined", "A body exactly as received", None, path=("quarantine_id",)
            )
        },
        f"{entry}/reprocess": {
            "post": {
                **operation("reprocess", "Read an entry again", path=("quarantine_id",)),
                "responses": {
                    "200": json_answer("CallbackAnswer", "It is a callback now, and in the log."),
                    **READ_PROBLEMS,
                    **problems({"409": "Still not a callback; it stays."}),
                },
            }
        },
        **event_paths.paths(),
        **export_paths.paths(),
        **instance_paths.paths(),
        **sink_paths.paths(),
        **key_paths.paths(),
        "/healthz": health("healthz", "Alive"),
        "/readyz": {
            "get": {
                "operationId": "readyz",
                "summary": "Ready, with a reason for each check",
                "security": [],
                "responses": {
                    "200": json_answer("Readiness", "Ready."),
                    "503": json_answer("Readiness", "Not ready."),
                },
            }
        },
        "/metrics": health("metrics", "Prometheus metrics"),
    }


def _scoped(paths: dict[str, Any], routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The same, with the scope that each operation needs."""
    for route in routes:
        if isinstance(route, ScopedRoute):
            for method in (route.methods or set()) - {"HEAD"}:
                described = paths[re.sub(r":\w+}", "}", route.path)][method.lower()]
                described["security"] = [{"apiKey": [route.needs]}]
                described["description"] = f"Needs a key with the scope `{route.needs}`."
                described["responses"] |= problems({"403": f"The key lacks `{route.needs}`."})
    return paths


def _erase(
    name: str, summary: str, query: tuple[str, ...] = (), path: tuple[str, ...] = ()
) -> dict[str, Any]:
    asked = operation(name, summary, path)
    asked["parameters"] += [
        {"name": parameter, "in": "query", "required": True, **PARAMETERS[parameter]}
        for parameter in query
    ]
    return {
        **asked,
        "responses": {
            "202": json_answer("Erasure", "Nothing of it comes in any more; the rest is a job."),
            **READ_PROBLEMS,
            **problems({"409": "The key by which erased people are known cannot be read."}),
        },
    }


def _ask_edges(name: str, summary: str, query: tuple[str, ...] = ()) -> dict[str, Any]:
    asked = operation(name, summary, path=("run_uid",))
    asked["parameters"] += [
        {"name": parameter, "in": "query", **PARAMETERS[parameter]} for parameter in query
    ]
    is_act = name != "reconcileRun"
    return {
        **asked,
        "responses": {
            "202": json_answer(
                *(("Run", "The run as it is then.") if is_act else ("Asked", "Asked."))
            ),
            **READ_PROBLEMS,
            **EDGES_PROBLEMS,
        },
    }


def _act_on_schedule() -> dict[str, Any]:
    asked = operation(
        "actOnSchedule", "Change a schedule at Edges", path=("scheduled_run_uid", "action")
    )
    asked["parameters"][-1]["schema"] = {"type": "string", "enum": list(schedules.ACTIONS)}
    return {
        **asked,
        "requestBody": {
            "required": False,
            "description": "What is to change; of `update` alone, and passed on as it is.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "responses": {
            "200": json_answer("Schedule", "The schedule as it is then."),
            **READ_PROBLEMS,
            **EDGES_PROBLEMS,
            **problems({"413": "The body is too large."}),
        },
    }
