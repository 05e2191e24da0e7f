"""The part of the OpenAPI document that is about the installation itself."""

from typing import Any

from pydantic import BaseModel

from app.api import instance_schema
from app.api.operations import READ_PROBLEMS, json_answer, operation, problems, read

MODELS: tuple[type[BaseModel], ...] = (
    instance_schema.Health,
    instance_schema.Ingest,
    instance_schema.IngestToken,
    instance_schema.Demo,
)


def paths() -> dict[str, Any]:
    """By path."""
    return {
        "/api/v1/health": {"get": read("getHealth", "The collector in figures", "Health")},
        "/api/v1/ingest": {"get": read("getIngest", "Where callbacks go", "Ingest")},
        "/api/v1/ingest/token": {
            "post": {
                **operation("showIngestToken", "What callbacks carry"),
                "responses": {
                    "200": json_answer("IngestToken", "A secret: whoever has it can send."),
                    **READ_PROBLEMS,
                },
            }
        },
        "/api/v1/demo": {
            "get": read("getDemo", "Whether there can be a demo, and the last one's run", "Demo"),
            "post": {
                **operation("startDemo", "Launch a run of a simulated Edges"),
                "responses": {
                    "202": json_answer("Demo", "Its callbacks come from now on."),
                    **READ_PROBLEMS,
                    **problems(
                        {
                            "409": "One is going on, or there can be none here.",
                            "503": "The simulated Edges did not start.",
                        }
                    ),
                },
            },
        },
    }
