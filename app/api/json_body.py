"""A request's body as a JSON object, within bounds."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from app.api.problems import ProblemError
from app.canonical import Json, parse

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], value: dict[str, Json]) -> Model:
    """The object as a model. Raises a 400 that points at the first member that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        pointer = "#" + "".join(f"/{part}" for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        name = ".".join(map(str, first["loc"])) or "the object"
        raise ProblemError(400, "Bad body", f"{name}: {problem}", pointer=pointer) from None


async def json_object(request: Request, bytes_max: int) -> dict[str, Json] | None:
    """The object; None if there is no body at all. Raises a 400 or a 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise ProblemError(413, "Too large", f"the body may have {bytes_max:,} bytes")
    if not body.strip():
        return None
    try:
        value = parse(bytes(body))
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "Bad body", f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ProblemError(400, "Bad body", "the body must be a JSON object")
    return value
