"""A receiver of webhooks on 127.0.0.1 that answers as it is told, and keeps what came."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Delivered:
    """A webhook that came."""

    path: str
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvents envelope."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def event_type(self) -> str:
        """Without what all types begin with."""
        return str(self.event["type"]).removeprefix("edges.collector.")


@dataclass
class Answer:
    """What a webhook is answered."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"thanks"
    delay_s: float = 0.0


class Receiver:
    """Takes webhooks; `behave` says how each is answered."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.came: list[Delivered] = []
        self.behave: Callable[[Delivered], Answer] = lambda _: Answer()
        self.under_way = 0
        self.most_under_way = 0
        self._lock = threading.Lock()

    def types(self, path: str = "/") -> list[str]:
        """Types of what came to a path, in order."""
        return [one.event_type for one in list(self.came) if one.path == path]

    def take(self, one: Delivered) -> Answer:
        """Keep it, and decide on the answer."""
        with self._lock:
            self.came.append(one)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            answer = self.behave(one)
            time.sleep(answer.delay_s)
            return answer
        finally:
            with self._lock:
                self.under_way -= 1


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = taking.take(Delivered(self.path, headers, body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, *_: object) -> None:
            pass  # a collector that was killed cuts its connections

    server = Server(("127.0.0.1", 0), Handler)
    taking = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield taking
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
