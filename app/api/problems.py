"""Errors as RFC 9457 problems: the one place that knows how HTTP says what went wrong."""

from collections.abc import Mapping

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.canonical import Json, dumps
from app.export.stream import OrderChangedError
from app.notify.sealing import SealError
from app.store.cursor import CursorError
from app.store.protocol import StoreUnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

log = structlog.get_logger("api")


class ProblemError(Exception):
    """An answer that is an error: what, where, and what to do."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Json,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers
        self.members = members


def not_found(what: str) -> ProblemError:
    """404, naming what was looked for."""
    return ProblemError(404, "Not found", f"there is no {what}")


def bad_parameter(name: str, detail: str) -> ProblemError:
    """400 for one query parameter."""
    return ProblemError(400, "Bad parameter", f"{name}: {detail}", parameter=name)


def problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None, **members: Json
) -> Response:
    """The answer for a problem."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return Response(dumps(body), status, headers, MEDIA_TYPE)


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a `ProblemError`."""
    del request
    if not isinstance(error, ProblemError):
        raise error
    return problem(error.status, error.title, error.detail, error.headers, **error.members)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework refused: no such path, or no such method there."""
    if not isinstance(error, HTTPException):
        raise error
    details = {
        404: f"there is nothing at {request.url.path}; /openapi.json lists what there is",
        405: f"{request.method} is not possible here; see the Allow header",
    }
    detail = details.get(error.status_code, error.detail)
    return problem(error.status_code, error.detail, detail, error.headers)


async def on_bad_cursor(request: Request, error: Exception) -> Response:
    """Answer a cursor that is not ours."""
    del request
    return problem(400, "Bad parameter", str(error), parameter="cursor")


async def on_changed_order(request: Request, error: Exception) -> Response:
    """Answer a cursor that was made before the order of inputs became known."""
    del request
    return problem(409, "The order changed", f"{error}, without the cursor")


async def on_unavailable(request: Request, error: Exception) -> Response:
    """Answer when the store cannot be read or written."""
    log.error("store unavailable", path=request.url.path, reason=str(error))
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return problem(503, "The store cannot answer now", "try again later", headers)


async def on_unsealable(request: Request, error: Exception) -> Response:
    """Answer when the secrets of an endpoint cannot be read."""
    log.error("secrets cannot be read", path=request.url.path, reason=str(error))
    return problem(409, "Secrets cannot be read", str(error))


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw: logged here, told to nobody."""
    log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return problem(
        500, "Internal error", "the server failed; its log has the details under the request id"
    )


HANDLERS = {
    ProblemError: on_problem,
    HTTPException: on_http_exception,
    CursorError: on_bad_cursor,
    OrderChangedError: on_changed_order,
    StoreUnavailableError: on_unavailable,
    SealError: on_unsealable,
    Exception: on_failure,
}
