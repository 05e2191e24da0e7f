"""The short way of a callback over a real socket: told from the long one by nothing but speed."""

import json
import re
import signal
import socket
import time

import pytest

from tests.callbacks import new_run, sent
from tests.collector_process import TOKEN, CollectorProcess


def head(length: int | None, *more: str, path: str = "/callbacks", version: str = "1.1") -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"POST {path} HTTP/{version}", "Host: x", f"Authorization: Bearer {TOKEN}", framing]
    return "\r\n".join([*lines, *more, "", ""]).encode()


class Answer:
    """One answer, read off a socket."""

    def __init__(self, connection: socket.socket, read: bytes = b"") -> None:
        while b"\r\n\r\n" not in read:
            read += self._received(connection)
        start, _, rest = read.partition(b"\r\n\r\n")
        status, *lines = start.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
        length = int(self.headers.get("content-length", 0))
        while len(rest) < length:
            rest += self._received(connection)
        self.body, self.rest = rest[:length], rest[length:]

    @staticmethod
    def _received(connection: socket.socket) -> bytes:
        data = connection.recv(65_536)
        if not data:
            raise EOFError("the connection was closed before the answer was whole")
        return data


def connected(collector: CollectorProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", collector.port), timeout=60)


def sender_gone(collector: CollectorProcess) -> float:
    text = collector.http.get("/metrics").text
    found = re.search(r'edges_collector_callbacks_total\{outcome="sender_gone"\} (\S+)', text)
    return float(found[1]) if found else 0.0


def test_both_ways_give_the_same_answer(shared_collector: CollectorProcess) -> None:
    run = new_run()
    with connected(shared_collector) as connection:
        short, long = sent("c1", run=run), sent("c2", run=run)
        connection.sendall(head(len(short), "X-Request-ID: mine-1") + short)
        one = Answer(connection)
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(long), long)
        connection.sendall(head(None, "X-Request-ID: mine-2") + chunk)
        other = Answer(connection)
    assert (one.status, other.status) == (200, 200)
    assert list(one.headers) == list(other.headers)
    assert one.headers["x-request-id"] == "mine-1"
    assert json.loads(one.body) == json.loads(other.body.replace(b'"c2"', b'"c1"'))


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_a_request_may_come_in_pieces(shared_collector: CollectorProcess, size: int) -> None:
    body = sent("c1", run=new_run())
    request = head(len(body)) + body
    with connected(shared_collector) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), size):
            connection.sendall(request[start : start + size])
        answer = Answer(connection)
    assert (answer.status, json.loads(answer.body)["status"]) == (200, "stored")


def test_pipelined_requests_are_answered_in_their_order(shared_collector: CollectorProcess) -> None:
    run = new_run()
    bodies = [sent(f"c{number}", run=run) for number in range(5)]
    requests = [head(len(body)) + body for body in bodies]
    requests.insert(2, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    requests.insert(4, head(1) + b"1")  # quarantined
    with connected(shared_collector) as connection:
        connection.sendall(b"".join(requests))
        found, rest = [], b""
        for _ in requests:
            answer = Answer(connection, rest)
            rest = answer.rest
            is_stored = b'"stored"' in answer.body
            found.append(
                json.loads(answer.body)["callback_ref_uid"] if is_stored else answer.status
            )
    assert found == ["c0", "c1", 200, "c2", 202, "c3", "c4"]


@pytest.mark.parametrize(
    ("more", "version"),
    [(("Connection: close",), "1.1"), ((), "1.0"), (("Connection: keep-alive, close",), "1.1")],
)
def test_a_connection_that_is_to_be_closed_is_closed(
    shared_collector: CollectorProcess, more: tuple[str, ...], version: str
) -> None:
    body = sent("c1", run=new_run())
    with connected(shared_collector) as connection:
        connection.sendall(head(len(body), *more, version=version) + body)
        assert Answer(connection).status == 200
        assert connection.recv(1) == b""


def test_who_expects_to_be_told_to_continue_is_told(shared_collector: CollectorProcess) -> None:
    body = sent("c1", run=new_run())
    with connected(shared_collector) as connection:
        connection.sendall(head(len(body), "Expect: 100-continue"))
        assert Answer(connection).status == 100
        connection.sendall(body)
        assert Answer(connection).status == 200


def test_a_sender_that_hangs_up_within_a_body_leaves_nothing(
    shared_collector: CollectorProcess,
) -> None:
    run, before = new_run(), sender_gone(shared_collector)
    body = sent("c1", run=run)
    with connected(shared_collector) as connection:
        connection.sendall(head(len(body)) + body[:-1])
    until = time.monotonic() + 10
    while sender_gone(shared_collector) == before and time.monotonic() < until:
        time.sleep(0.02)
    assert sender_gone(shared_collector) == before + 1
    assert shared_collector.http.get(f"/api/v1/runs/{run}").status_code == 404


def test_a_body_under_way_at_the_end_is_still_taken(collector: CollectorProcess) -> None:
    body = sent("c1", run=new_run())
    with connected(collector) as connection, connected(collector) as idle:
        connection.sendall(head(len(body)) + body[:100])
        time.sleep(0.1)
        collector.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # the drain is over: connections without a request are closed
        connection.sendall(body[100:])
        answer = Answer(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""
    assert collector.process.wait(timeout=60) == 0
