"""Answers in the shapes of the API."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
from starlette.responses import Response

from app.simulator.callback import moment
from app.simulator.errors import EdgesError, standard_error


def answer(value: object, *, headers: dict[str, str] | None = None) -> Response:
    """200 with a value as JSON. Times become RFC 3339 in UTC."""
    body = orjson.dumps(value, default=_write, option=orjson.OPT_PASSTHROUGH_DATETIME)
    return Response(body, headers=headers, media_type="application/json")


def listing(rows: list[bytes], *, headers: dict[str, str] | None = None) -> Response:
    """200 with a list of what is JSON already."""
    body = b"[" + b",".join(rows) + b"]"
    return Response(body, headers=headers, media_type="application/json")


def error_answer(error: EdgesError, *, status_code: int | None = None) -> Response:
    """An error in the documented format. `status_code` overrides what its label implies."""
    body = standard_error(error.label, error.message, error.params, ref=str(uuid4()))
    body["status_code"] = status_code or error.status_code
    return Response(
        orjson.dumps(body), status_code=body["status_code"], media_type="application/json"
    )


def _write(value: Any) -> str | None:
    if isinstance(value, datetime):
        return moment(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")
