"""`POST /callbacks`: plain ASGI, since every layer in between costs a share of the rate."""

import hmac
import itertools
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from time import time_ns
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uuid_utils import uuid7

from app import observe
from app.log.group_commit import GroupCommit
from app.model import Arrival, Outcome, Quarantined
from app.receive.body import (
    BodyTooLargeError,
    BrokenBodyError,
    SenderGoneError,
    UnsupportedEncodingError,
    read_body,
)
from app.receive.reading import Ids, NotACallbackError, NotJsonError, read_ids
from app.store.protocol import LogUnavailableError

PATH = "/callbacks"
RETRY_AFTER_S = 5

Header = tuple[bytes, bytes]
_JSON: Header = (b"content-type", b"application/json")
_PROBLEM: Header = (b"content-type", b"application/problem+json")

_JSON_TYPES = frozenset({b"", b"application/json"})

log = structlog.get_logger("receive")


class Answer(NamedTuple):
    """What a sender is told."""

    status: int
    body: bytes
    content_type: Header = _JSON

    def headers(self, request_id: bytes) -> list[Header]:
        """The header lines that go with it."""
        headers = [
            self.content_type,
            (b"content-length", b"%d" % len(self.body)),
            (b"x-request-id", request_id),
        ]
        if self.status == 503:
            headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
        elif self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        elif self.status == 405:
            headers.append((b"allow", b"POST"))
        if self.status in (401, 405, 413, 415):
            # What is left of the body is not worth reading: let the sender start afresh.
            headers.append((b"connection", b"close"))
        return headers


class CallbackEndpoint:
    """Takes callbacks in front of `app`, which gets every other request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        commits: GroupCommit,
        quarantine: Callable[[Quarantined], Awaitable[str]],
        token: str,
        body_bytes_max: int,
        is_receiving: bool = True,
    ) -> None:
        """Without `is_receiving` every callback is sent away, to a replica that takes it."""
        self.commits = commits
        self.body_bytes_max = body_bytes_max
        self.is_receiving = is_receiving
        self._app = app
        self._quarantine = quarantine
        self._token = token.encode()
        self._bearer = b"Bearer " + self._token
        self._is_verbose = logging.getLogger("receive").isEnabledFor(logging.DEBUG)
        self._request_ids = (f"{os.urandom(4).hex()}-{n:x}" for n in itertools.count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a callback, or pass the request on."""
        if scope["type"] != "http" or not (
            scope["path"] == PATH or scope["path"].startswith(PATH + "/")
        ):
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = self.request_id(headers)
        answer = await self._answer(scope, headers, receive, request_id)
        if answer.status:
            start = {
                "type": "http.response.start",
                "status": answer.status,
                "headers": answer.headers(request_id),
            }
            await send(start)
            await send({"type": "http.response.body", "body": answer.body})

    def request_id(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The sender's own, or a new one."""
        return headers.get(b"x-request-id", b"")[:100] or next(self._request_ids).encode()

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, request_id: bytes
    ) -> Answer:
        """What to answer; status 0 if nobody waits for an answer."""
        if not self.is_receiving:
            return _problem(
                503,
                "Not a receiver",
                "this replica only works (COLLECTOR_ROLE=work): send it to one that receives",
            )
        if scope["method"] != "POST":
            return _problem(405, "Method not allowed", "callbacks are sent with POST")
        if not self.is_authentic(scope["path"], headers):
            observe.CALLBACKS.labels("unauthorized").inc()
            return _problem(
                401,
                "Unauthorized",
                "send the ingest token as `Authorization: Bearer …`, or as the last part"
                " of the path: /callbacks/{token}",
            )
        try:
            body = await read_body(receive, headers, self.body_bytes_max)
        except SenderGoneError:
            observe.CALLBACKS.labels("sender_gone").inc()
            return Answer(0, b"")
        except BodyTooLargeError:
            observe.CALLBACKS.labels("too_large").inc()
            log.warning("callback refused: too large", request_id=request_id.decode("latin-1"))
            return _problem(
                413,
                "Body too large",
                f"a callback may have {self.body_bytes_max} bytes after inflation;"
                " COLLECTOR_MAX_BODY_BYTES sets this",
            )
        except UnsupportedEncodingError as error:
            return _problem(
                415, "Unsupported content encoding", f"send the body plain or gzip, not {error}"
            )
        except BrokenBodyError as error:
            return _problem(400, "Broken body", str(error))
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        return await self._take(body, content_type, request_id)

    def is_authentic(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Compare in constant time, in whichever of the two places the token stands."""
        in_path = path[len(PATH) + 1 :]
        if in_path:
            return hmac.compare_digest(unquote_to_bytes(in_path), self._token)
        given = headers.get(b"authorization", b"")
        return hmac.compare_digest(b"Bearer " + given[7:], self._bearer) and given[:7].lower() == (
            b"bearer "
        )

    async def _take(self, body: bytes, content_type: bytes, request_id: bytes) -> Answer:
        received_ms = time_ns() // 1_000_000
        try:
            ids = read_ids(body)
        except NotJsonError as error:
            # The content counts, not what it is called: a wrong type on JSON is let pass.
            is_called_json = content_type in _JSON_TYPES or content_type.endswith(b"+json")
            status, detail = (400, str(error)) if is_called_json else (415, _not_json(content_type))
            return await self._quarantined(
                status=status,
                reason="not_json",
                detail=detail,
                body=body,
                content_type=content_type,
                request_id=request_id,
            )
        except NotACallbackError as error:
            return await self._quarantined(
                status=202,
                reason="not_a_callback",
                detail=str(error),
                body=body,
                content_type=content_type,
                request_id=request_id,
            )
        try:
            outcome = await self.commits.submit(Arrival(ids.run_uid, ids.key, body, received_ms))
        except LogUnavailableError as error:
            return self.unavailable(error, request_id)
        return self.taken(ids, outcome, request_id)

    def taken(self, ids: Ids, outcome: Outcome, request_id: bytes) -> Answer:
        """The answer to a callback that is durable."""
        if self._is_verbose:  # asked once: even a line that is not written takes its time
            log.debug(
                "callback taken",
                outcome=outcome,
                run_uid=ids.run_uid,
                callback_ref_uid=ids.callback_ref_uid,
                request_id=request_id.decode("latin-1"),
            )
        if outcome is Outcome.CONFLICT:
            log.warning(
                "callback conflicts with an earlier one of the same id; both are kept",
                run_uid=ids.run_uid,
                callback_ref_uid=ids.callback_ref_uid,
                request_id=request_id.decode("latin-1"),
            )
        answer = {
            "status": outcome,
            "callback_ref_uid": ids.callback_ref_uid,
            "run_uid": ids.run_uid,
        }
        return Answer(200, orjson.dumps(answer))

    async def _quarantined(
        self,
        *,
        status: int,
        reason: str,
        detail: str,
        body: bytes,
        content_type: bytes,
        request_id: bytes,
    ) -> Answer:
        item = Quarantined(
            quarantine_id=str(uuid7()),
            received_ms=time_ns() // 1_000_000,
            reason=reason,
            detail=detail,
            content_type=content_type.decode("latin-1")[:200],
            body=body,
        )
        try:
            quarantine_id = await self._quarantine(item)
        except LogUnavailableError as error:
            return self.unavailable(error, request_id)
        observe.CALLBACKS.labels("quarantined").inc()
        log.warning(
            "body quarantined",
            quarantine_id=quarantine_id,
            reason=reason,
            detail=detail,
            request_id=request_id.decode("latin-1"),
        )
        if status == 202:
            answer = {"status": "quarantined", "quarantine_id": quarantine_id, "detail": detail}
            return Answer(202, orjson.dumps(answer))
        titles = {400: "Not JSON", 415: "Unsupported content type"}
        return _problem(status, titles[status], detail, quarantine_id=quarantine_id)

    def unavailable(self, error: Exception, request_id: bytes) -> Answer:
        """The answer to a callback that the store did not take."""
        observe.CALLBACKS.labels("unavailable").inc()
        log.error("callback not taken", reason=str(error), request_id=request_id.decode("latin-1"))
        return _problem(
            503, "The store cannot take it now", "nothing was stored: send it again later"
        )


def _not_json(content_type: bytes) -> str:
    return f"the content type is {content_type.decode('latin-1')[:100]}, and it is not JSON"


def _problem(status: int, title: str, detail: str, **members: Any) -> Answer:
    """An RFC 9457 problem, as `app.api.problems` writes them for all other paths."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Answer(status, orjson.dumps(problem | members), _PROBLEM)
