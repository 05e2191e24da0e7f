"""The short way of the usual callback: from the parser to the log and back, and no more.

uvicorn makes a task, a scope and a handful of messages for each request. That is most of
what acknowledging costs, and the usual callback needs none of it: a POST with the right
token and a Content-Length. Whatever is unusual, before or after its body is read, goes
through the ASGI application, as if this were not here.
"""

from time import time_ns
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app import observe
from app.model import Arrival, Outcome
from app.receive.endpoint import PATH, Answer, CallbackEndpoint
from app.receive.reading import Ids, NotACallbackError, NotJsonError, read_ids
from app.store.protocol import LogUnavailableError

_PATH = PATH.encode()
_UNUSUAL_HEADERS = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})


class _NoEvent:
    """uvicorn wakes a request's task by an event; a callback on the short way has none."""

    def set(self) -> None:
        """Wake nobody."""


class _Callback:
    """A callback on the short way.

    Takes the place of uvicorn's cycle of request and response, as far as its protocol
    looks into it, and waits for the outcome as a future would.
    """

    __slots__ = (
        "chunks", "disconnected", "ids", "keep_alive", "protocol", "request_id", "response_complete"
    )  # fmt: skip
    ids: Ids
    message_event = _NoEvent()

    def __init__(self, protocol: "CallbackProtocol", request_id: bytes) -> None:
        self.protocol = protocol
        self.request_id = request_id
        self.chunks: list[bytes] = []
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False

    def done(self) -> bool:
        return self.disconnected or self.protocol.transport.is_closing()

    def set_result(self, outcome: Outcome) -> None:
        taken = self.protocol.endpoint.taken
        self.protocol.answer(self, taken(self.ids, outcome, self.request_id))

    def set_exception(self, error: Exception) -> None:
        self.protocol.answer(self, self.protocol.endpoint.unavailable(error, self.request_id))


class CallbackProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with the short way added; see `bound_to`."""

    endpoint: CallbackEndpoint
    cycle: Any  # uvicorn's own, or a _Callback in its place
    _callback: _Callback | None = None
    """The callback whose body is being read, if it is on the short way."""

    @classmethod
    def bound_to(cls, endpoint: CallbackEndpoint) -> type["CallbackProtocol"]:
        """The protocol of a server whose callbacks `endpoint` takes."""
        return type(cls.__name__, (cls,), {"endpoint": endpoint})

    def on_headers_complete(self) -> None:
        """Choose the way, now that the head of a request is known."""
        headers = dict(self.headers)
        if self._is_usual(headers):
            self._callback = _Callback(self, self.endpoint.request_id(headers))
            self.cycle = self._callback
        else:
            super().on_headers_complete()

    def _is_usual(self, headers: dict[bytes, bytes]) -> bool:
        length, url = headers.get(b"content-length", b""), self.url
        return (
            (url == _PATH or (url.startswith(_PATH + b"/") and b"%" not in url and b"?" not in url))
            and (self.cycle is None or self.cycle.response_complete)  # else it is pipelined
            and not self.flow.write_paused
            and self.endpoint.is_receiving
            and length.isdigit()
            and int(length) <= self.endpoint.body_bytes_max
            and _UNUSUAL_HEADERS.isdisjoint(headers)
            and self.parser.get_method() == b"POST"
            and self.parser.should_keep_alive()
            and self.endpoint.is_authentic(url.decode("latin-1"), headers)
        )

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body; there are at most as many bytes as were announced."""
        if self._callback is None:
            super().on_body(body)
        else:
            self._callback.chunks.append(body)

    def on_message_complete(self) -> None:
        """Hand the callback to the log. Nothing may be raised here: the parser swallows it."""
        callback = self._callback
        if callback is None:
            super().on_message_complete()
            return
        self._callback = None
        chunks = callback.chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        callback.chunks = []
        try:
            callback.ids = ids = read_ids(body)
            arrival = Arrival(ids.run_uid, ids.key, body, time_ns() // 1_000_000)
            self.endpoint.commits.enqueue(arrival, callback)
        except (NotJsonError, NotACallbackError, LogUnavailableError):
            self._take_the_long_way(callback, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up a callback whose body was not whole yet."""
        if self._callback is not None:
            self._callback = None
            observe.CALLBACKS.labels("sender_gone").inc()
        super().connection_lost(exc)

    def _take_the_long_way(self, callback: _Callback, body: bytes) -> None:
        self.cycle = None
        super().on_headers_complete()
        super().on_body(body)
        super().on_message_complete()
        self.cycle.keep_alive = callback.keep_alive

    def answer(self, callback: _Callback, answer: Answer) -> None:
        """Write the answer to `callback`, and be ready for the next request."""
        lines = [STATUS_LINE[answer.status]]
        for name, value in (
            *self.server_state.default_headers,
            *answer.headers(callback.request_id),
        ):
            lines += name, b": ", value, b"\r\n"
        if not callback.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += b"\r\n", answer.body
        self.transport.write(b"".join(lines))
        callback.response_complete = True
        if not callback.keep_alive:
            self.transport.close()
        self.on_response_complete()
