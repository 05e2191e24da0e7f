"""The OpenAPI document's part about standing sinks."""

from typing import Any

from pydantic import BaseModel

from app.api import sink_schema, sinks
from app.api.operations import READ_PROBLEMS, json_answer, operation, problems, read

MODELS: tuple[type[BaseModel], ...] = (
    sink_schema.SinkPage,
    sink_schema.Sink,
    sink_schema.NewSink,
    sink_schema.SinkChange,
    sink_schema.SinkRunPage,
    sink_schema.SinkRun,
    sink_schema.SinkTest,
)

_SINK = ("sink_id",)


def paths() -> dict[str, Any]:
    """By path."""
    sink = "/api/v1/sinks/{sink_id}"
    runs = read(
        "listSinkRuns", "Its runs, with their last outcome", "SinkRunPage",
        sinks.RUN_PARAMETERS, path=_SINK,
    )  # fmt: skip
    for parameter in runs["parameters"]:
        if parameter["name"] == "state":
            parameter["schema"] = {"type": "string", "enum": list(sinks.RUN_STATES)}
    return {
        "/api/v1/sinks": {
            "get": read("listSinks", "Where results go by themselves", "SinkPage"),
            "post": _change(
                "createSink",
                "Have the results of runs written somewhere when they are complete",
                "NewSink",
                {"201": json_answer("Sink", "Made.")},
                path=(),
            ),
        },
        sink: {
            "get": read("getSink", "A sink", "Sink", path=_SINK),
            "patch": _change(
                "changeSink",
                "Change, pause or go on with a sink",
                "SinkChange",
                {"200": json_answer("Sink", "As it is then.")},
            ),
            "delete": _change(
                "deleteSink",
                "Drop a sink; what it has written stays",
                None,
                {"204": {"description": "Gone."}},
            ),
        },
        f"{sink}/test": {
            "post": _change(
                "testSink",
                "Whether a sink can be reached and written to",
                None,
                {"200": json_answer("SinkTest", "What came of it.")},
            )
        },
        f"{sink}/runs": {"get": runs},
        f"{sink}/runs/{{run_uid}}/write": {
            "post": _change(
                "writeSinkRun",
                "Write a run once more",
                None,
                {"202": json_answer("SinkRun", "It will be.")},
                path=("sink_id", "run_uid"),
            )
        },
    }


def _change(
    name: str,
    summary: str,
    body: str | None,
    answers: dict[str, Any],
    path: tuple[str, ...] = _SINK,
) -> dict[str, Any]:
    found = operation(name, summary, path)
    if body is not None:
        reference = {"schema": {"$ref": f"#/components/schemas/{body}"}}
        found["requestBody"] = {"required": True, "content": {"application/json": reference}}
    refused = {
        "409": "Not as the sink stands; `detail` says why.",
        "413": "The body is too large.",
    }
    return {**found, "responses": {**answers, **READ_PROBLEMS, **problems(refused)}}
