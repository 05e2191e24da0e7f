"""The OpenAPI document's part about API keys."""

from typing import Any

from pydantic import BaseModel

from app.api import key_schema, keys
from app.api.operations import READ_PROBLEMS, json_answer, operation, problems, read

MODELS: tuple[type[BaseModel], ...] = (
    key_schema.ApiKeyPage,
    key_schema.ApiKey,
    key_schema.NewApiKey,
    key_schema.CreatedApiKey,
)

_KEY = ("key_id",)


def paths() -> dict[str, Any]:
    """By path."""
    body = {"schema": {"$ref": "#/components/schemas/NewApiKey"}}
    return {
        "/api/v1/keys": {
            "get": read(
                "listKeys",
                "Keys of the API, those that open nothing any more included",
                "ApiKeyPage",
                keys.LIST_PARAMETERS,
            ),
            "post": {
                **operation("createKey", "Make a key of the API"),
                "requestBody": {"required": True, "content": {"application/json": body}},
                "responses": {
                    "201": json_answer("CreatedApiKey", "Made; the key is shown here only."),
                    **READ_PROBLEMS,
                    **problems(
                        {"409": "There are too many already.", "413": "The body is too large."}
                    ),
                },
            },
        },
        "/api/v1/keys/{key_id}": {
            "get": read("getKey", "A key of the API", "ApiKey", path=_KEY),
            "delete": {
                **operation("revokeKey", "Let a key open nothing any more, within 5 s", _KEY),
                "responses": {
                    "200": json_answer("ApiKey", "As it is then; it stays in the list."),
                    **READ_PROBLEMS,
                    **problems({"409": "It is the admin key, which the settings change."}),
                },
            },
        },
    }
