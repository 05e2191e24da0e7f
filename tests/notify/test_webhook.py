"""The webhook client against receivers that are slow, broken or hostile, on real sockets."""

import asyncio
import gzip
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app import __version__
from app.notify import connections, webhook
from app.notify.attempt import ANSWER_BYTES_MAX, Attempt
from app.notify.webhook import WebhookClient
from tests.notify.certificate import Certificate
from tests.notify.names import Names
from tests.notify.receiver import OK, Receiver, answers, hangs, receiving, repeats, resets, says

pytestmark = pytest.mark.anyio

TIMEOUT_S = 30.0
"""For what comes: on a busy machine late, so that this only ends a test that would hang."""

SHORT_S = 0.3
"""For what never comes."""

SOON_MS = 20_000
"""Long before a receiver that hangs goes on."""

HEADERS = {"content-type": "application/json", "webhook-id": "msg_1"}
BODY = b'{"type":"run.completed"}'
_TLS = ssl.create_default_context()  # which takes a while


@asynccontextmanager
async def sending(**options: Any) -> AsyncIterator[WebhookClient]:
    """A client that may go to this machine unless told otherwise, closed afterwards."""
    usual = {"allow_private": True, "timeout_s": TIMEOUT_S, "tls": _TLS}
    client = WebhookClient(**{**usual, **options})
    try:
        yield client
    finally:
        await client.close()


async def short_of_time(client: WebhookClient, receiver: Receiver, body: bytes = BODY) -> Attempt:
    """What comes of a second request over the connection of the first, which had time enough.

    Were it the first, connecting could take all of a short time on a busy machine."""
    assert (await client.post(receiver.url, HEADERS, BODY)).is_delivered
    client._timeout_s = SHORT_S
    return await client.post(receiver.url, HEADERS, body)


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not is_so():
            await asyncio.sleep(0.005)


# ------------------------------------------------------------- what is sent, and delivered


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(status: int) -> None:
    body = b"" if status == 204 else b"thanks"
    async with receiving(answers(status, body)) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.is_delivered
    assert (attempt.status, attempt.problem, attempt.answer) == (status, None, body.decode())
    assert 0 <= attempt.took_ms < TIMEOUT_S * 1000


async def test_the_request_is_what_it_should_be_and_no_more() -> None:
    headers = {"Webhook-Id": "msg_1", "Authorization": "Bearer x", "Cookie": "a=b"}
    framing = {"HOST": "evil.test", "content-length": "3", "Transfer-Encoding": "chunked"}
    framing |= {"Connection": "close", "Accept-Encoding": "gzip", "User-Agent": "else"}
    async with receiving() as receiver, sending() as client:
        await client.post(f"{receiver.url}?a=%20b", {**headers, **framing}, BODY)
    assert receiver.bodies == [BODY]
    assert receiver.heads[0].splitlines() == [
        "POST /hook?a=%20b HTTP/1.1",
        f"Host: 127.0.0.1:{receiver.port}",
        f"User-Agent: edges-collector/{__version__}",
        "Accept-Encoding: identity",
        f"Content-Length: {len(BODY)}",
        "Webhook-Id: msg_1",
        "Authorization: Bearer x",
        "Cookie: a=b",
        "",
    ]


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with sending() as client:
            assert (await client.post(receiver.url, HEADERS, BODY)).is_delivered
    assert (proxy.connections, receiver.connections) == (0, 1)


async def test_cookies_are_not_kept() -> None:
    conduct = answers(200, Set_Cookie="session=1; Path=/")
    async with receiving(conduct) as receiver, sending() as client:
        await client.post(receiver.url, HEADERS, BODY)
        await client.post(receiver.url, HEADERS, BODY)
    assert "cookie" not in receiver.heads[1].lower()


async def test_no_url_gets_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with receiving(answers(200), resets) as receiver, sending() as client:
        for _ in range(2):
            await client.post(f"{receiver.url}/a-secret", HEADERS, BODY)
    assert "a-secret" not in caplog.text


# ------------------------------------------------------------- answers that are no delivery


async def test_an_error_of_the_receiver_is_told_with_what_it_said() -> None:
    async with receiving(answers(500, b"out of memory")) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert not attempt.is_delivered
    assert (attempt.status, attempt.problem) == (500, "HTTP 500")
    assert attempt.answer == "out of memory"
    assert not attempt.is_gone


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_says_what_to_set(status: int) -> None:
    async with receiving() as other, sending() as client:
        async with receiving(answers(status, Location=other.url)) as receiver:
            attempt = await client.post(receiver.url, HEADERS, BODY)
        assert other.connections == 0
    assert not attempt.is_delivered
    assert attempt.status == status
    assert attempt.problem is not None
    assert other.url in attempt.problem
    assert "not followed" in attempt.problem
    assert "URL" in attempt.problem


async def test_gone_is_told_apart() -> None:
    async with receiving(answers(410)) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.is_gone
    assert not attempt.is_delivered


@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_may_ask_to_be_left_alone(status: int) -> None:
    date = formatdate(time.time() + 600, usegmt=True)
    conducts = (answers(status, Retry_After="120"), answers(status, Retry_After=date))
    async with receiving(*conducts) as receiver, sending() as client:
        assert (await client.post(receiver.url, HEADERS, BODY)).retry_after_s == 120
        until_date_s = (await client.post(receiver.url, HEADERS, BODY)).retry_after_s
    assert until_date_s is not None
    assert 540 <= until_date_s <= 601


async def test_an_answer_that_is_not_http_is_a_problem() -> None:
    conduct = says(b"220 mail.test ESMTP\x1b[31m\r\n\r\n", goes_on=False)
    async with receiving(conduct) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.status is None
    assert attempt.problem is not None
    assert attempt.problem.startswith("the answer is not HTTP/1.1")
    assert "\x1b" not in attempt.problem


# ------------------------------------------------------------- slow, cut and endless answers


async def test_a_receiver_that_hangs_is_given_up_in_time() -> None:
    async with receiving(says(OK), hangs) as receiver, sending() as client:
        attempt = await short_of_time(client, receiver)
    assert (attempt.status, attempt.problem) == (None, "no answer within 0.3 s")
    assert SHORT_S * 1000 <= attempt.took_ms < SOON_MS


async def test_an_answer_that_is_late_is_waited_for() -> None:
    async with receiving(says(OK, delay_s=0.15)) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.is_delivered
    assert attempt.took_ms >= 150


async def test_a_receiver_that_drips_its_head_is_given_up_in_time() -> None:
    conduct = repeats(b"HTTP/1.1 200 OK\r\nX: ", b"x", pause_s=0.05)
    async with receiving(says(OK), conduct) as receiver, sending() as client:
        attempt = await short_of_time(client, receiver)
    assert attempt.problem == "no answer within 0.3 s"


async def test_interim_answers_do_not_hold_it() -> None:
    conduct = repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.01)
    async with receiving(says(OK), conduct) as receiver, sending() as client:
        attempt = await short_of_time(client, receiver)
    assert attempt.problem == "no answer within 0.3 s"


async def test_a_receiver_that_drips_its_body_has_answered_by_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "_BODY_S_MAX", 60.0)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    conduct = repeats(head, b"x", pause_s=0.01)
    for timeout_s in (SHORT_S, 1.0, 3.0, 9.0):  # on a busy machine the status needs more time
        async with receiving(conduct) as receiver, sending(timeout_s=timeout_s) as client:
            attempt = await client.post(receiver.url, HEADERS, BODY)
        if attempt.status is not None:
            break
    assert attempt.is_delivered
    assert set(attempt.answer) == {"x"}
    assert timeout_s * 1000 <= attempt.took_ms < SOON_MS


async def test_a_body_is_waited_for_shorter_than_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_BODY_S_MAX", 0.05)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    async with receiving(repeats(head, b"x", pause_s=60)) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
        assert attempt.is_delivered
        assert attempt.took_ms < SOON_MS


async def test_a_receiver_that_does_not_read_is_given_up_in_time() -> None:
    async def reads_no_more(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await hangs(writer)

    async with receiving(reads_no_more) as receiver, sending() as client:
        attempt = await short_of_time(client, receiver, b"x" * 50_000_000)
    assert attempt.problem == "no answer within 0.3 s"
    assert attempt.took_ms < SOON_MS


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oops"])
async def test_of_an_endless_body_the_beginning_is_read(
    status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_BODY_S_MAX", 60.0)
    head = b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    chunk = b"2000\r\n" + b"y" * 0x2000 + b"\r\n"
    async with receiving(repeats(head, chunk, pause_s=0)) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.is_delivered == status.startswith(b"200")
    assert attempt.answer == "y" * ANSWER_BYTES_MAX
    assert attempt.took_ms < SOON_MS


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    conduct = answers(200, bomb, Content_Encoding="gzip")
    async with receiving(conduct) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.is_delivered
    assert attempt.answer == "(gzip, not unpacked)"


async def test_an_answer_is_made_harmless() -> None:
    body = b"a\x00b\x1b[31m\xff\xe2\x80\xae\r\nc\td\x7f\xc2\x85"
    async with receiving(answers(500, body)) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.answer == "a\ufffdb\ufffd[31m\ufffd\ufffd\nc\td\ufffd\ufffd"


async def test_a_connection_that_is_reset_is_told() -> None:
    async with receiving(resets) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert not attempt.is_delivered
    assert attempt.problem in (
        "the connection was reset after the request was sent",
        "the connection was closed without an answer",
    )


async def test_a_body_that_is_cut_has_its_status_all_the_same() -> None:
    conduct = says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", goes_on=False)
    async with receiving(conduct) as receiver, sending() as client:
        attempt = await client.post(receiver.url, HEADERS, BODY)
    assert attempt.is_delivered
    assert attempt.answer == "half"


# ------------------------------------------------------------- what is never sent


async def test_a_refused_address_is_a_problem_that_says_what_to_set() -> None:
    async with receiving() as receiver:
        async with sending(allow_private=False, resolver=Names(["127.0.0.1"])) as client:
            attempt = await client.post(f"http://hooks.test:{receiver.port}/", HEADERS, BODY)
        assert receiver.connections == 0
    assert attempt.status is None
    assert attempt.problem is not None
    for part in ("hooks.test", "127.0.0.1 is a loopback address", "COLLECTOR_ALLOW"):
        assert part in attempt.problem


async def test_an_allowed_network_is_reached() -> None:
    options = {"allow_private": False, "allowed_networks": [ip_network("127.0.0.0/8")]}
    async with receiving() as receiver, sending(**options) as client:
        assert (await client.post(receiver.url, HEADERS, BODY)).is_delivered


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://hooks.test/", "must begin with https://"),
        ("https://u:secret@hooks.test/", "user name"),
        ("http://127.0.0.1:1/", "127.0.0.1 refuses connections on port 1"),
        ("http://does-not-exist.invalid/", "the name does-not-exist.invalid was not found"),
    ],
)
async def test_where_nothing_can_go_is_a_problem(url: str, said: str) -> None:
    resolver = Names() if "invalid" in url else None
    async with sending(resolver=resolver) as client:
        attempt = await client.post(url, HEADERS, BODY)
    assert attempt.problem is not None
    assert said in attempt.problem
    assert "secret" not in attempt.problem


@pytest.mark.parametrize("value", ["a-secret\r\nX: y", "a-secret\x00", "a-secret ", "a-sécret"])
async def test_a_header_that_cannot_be_sent_is_a_problem_without_its_value(value: str) -> None:
    async with receiving() as receiver, sending() as client:
        attempt = await client.post(receiver.url, {"Authorization": value}, BODY)
    assert receiver.heads == []
    assert attempt.problem is not None
    assert "header" in attempt.problem
    assert "cret" not in attempt.problem


async def test_a_name_that_is_resolved_slowly_is_given_up_in_time() -> None:
    async with sending(resolver=Names(["127.0.0.1"], delay_s=60), timeout_s=0.1) as client:
        attempt = await client.post("http://hooks.test/", HEADERS, BODY)
    assert attempt.problem == "the name hooks.test was not resolved in time"
    assert attempt.took_ms < SOON_MS


async def test_a_turn_that_does_not_come_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "IN_FLIGHT_MAX", 1)
    async with receiving(hangs) as slow, sending() as client:
        first = asyncio.create_task(client.post(slow.url, HEADERS, BODY))
        await until(lambda: slow.heads)
        client._timeout_s = 0.1
        second = await client.post(slow.url, HEADERS, BODY)
        assert second.problem == "no turn within 0.1 s: too many other receivers are slow"
        assert slow.connections == 1
        first.cancel()


async def test_what_nobody_thought_of_is_a_problem_too(capsys: pytest.CaptureFixture[str]) -> None:
    async def broken(host: str, port: int) -> list[str]:
        raise ZeroDivisionError

    async with sending(resolver=broken) as client:
        attempt = await client.post("http://hooks.test/a-secret", {"x": "a-secret"}, BODY)
    assert attempt.problem is not None
    assert "ZeroDivisionError" in attempt.problem
    logged = capsys.readouterr()
    assert "ZeroDivisionError" in logged.out + logged.err
    assert "a-secret" not in logged.out + logged.err


async def test_cancelling_is_passed_on_and_ends_the_connection() -> None:
    async with receiving(hangs) as receiver, sending() as client:
        posting = asyncio.create_task(client.post(receiver.url, HEADERS, BODY))
        await until(lambda: receiver.heads)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        assert len(receiver.heads) == 1


# ------------------------------------------------------------- TLS


async def test_the_name_is_verified_and_sent_though_the_address_is_connected_to(
    tmp_path: Path,
) -> None:
    certificate = Certificate("hooks.test", tmp_path)
    names = Names(["127.0.0.1"])
    async with (
        receiving(tls=certificate.server()) as receiver,
        sending(resolver=names, tls=certificate.client()) as client,
    ):
        for host in ("hooks.test", "Hooks.Test", "hooks.test."):
            attempt = await client.post(f"https://{host}:{receiver.port}/x", HEADERS, BODY)
            assert attempt.is_delivered, attempt
    assert receiver.names == ["hooks.test", "hooks.test"]
    assert f"\r\nHost: hooks.test:{receiver.port}\r\n" in receiver.heads[0]
    assert receiver.connections == 2  # the second had the first's


@pytest.mark.parametrize(
    ("is_trusted", "is_expired", "host", "said"),
    [
        (False, False, "hooks.test", "self-signed certificate"),
        (True, False, "other.test", "not valid for 'other.test'"),
        (True, True, "hooks.test", "expired"),
    ],
)
async def test_a_certificate_that_is_not_valid_is_refused(
    is_trusted: bool,
    is_expired: bool,
    host: str,
    said: str,
    tmp_path: Path,
) -> None:
    certificate = Certificate("hooks.test", tmp_path, is_expired=is_expired)
    tls = certificate.client() if is_trusted else _TLS
    async with (
        receiving(tls=certificate.server()) as receiver,
        sending(resolver=Names(["127.0.0.1"]), tls=tls) as client,
    ):
        attempt = await client.post(f"https://{host}:{receiver.port}/x", HEADERS, BODY)
    assert receiver.heads == []
    assert attempt.problem is not None
    assert attempt.problem.startswith(f"the certificate of {host} is not valid: ")
    assert said in attempt.problem


async def test_a_receiver_without_tls_is_told() -> None:
    async def speak_first(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(speak_first, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with sending() as client:
        attempt = await client.post(f"https://127.0.0.1:{port}/", HEADERS, BODY)
    server.close()
    assert attempt.problem is not None
    assert attempt.problem.startswith("no TLS with 127.0.0.1: ")


async def test_a_handshake_that_hangs_is_given_up_in_time() -> None:
    async with receiving() as plain, sending(timeout_s=0.1) as client:
        attempt = await client.post(plain.url.replace("http:", "https:"), HEADERS, BODY)
    assert attempt.problem == "no connection to 127.0.0.1 within 0.1 s"
    assert attempt.took_ms < SOON_MS


async def test_cancelling_a_handshake_closes_its_socket() -> None:
    async with receiving() as plain, sending() as client:
        url = plain.url.replace("http:", "https:")
        posting = asyncio.create_task(client.post(url, HEADERS, BODY))
        await until(lambda: plain.connections)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting


# ------------------------------------------------------------- connections that are kept


async def test_a_connection_is_used_again() -> None:
    async with receiving() as receiver, sending() as client:
        for _ in range(5):
            assert (await client.post(receiver.url, HEADERS, BODY)).is_delivered
    assert (receiver.connections, len(receiver.heads)) == (1, 5)


async def test_a_connection_is_used_again_after_a_failure_that_was_answered() -> None:
    async with receiving(answers(500, b"x" * 5000)) as receiver, sending() as client:
        for _ in range(5):
            await client.post(receiver.url, HEADERS, BODY)
    # On a busy machine the rest of an answer may come too late to be waited for.
    assert receiver.connections < 5


async def test_origins_do_not_share_connections() -> None:
    async with receiving() as one, receiving(answers(200, b"two")) as two, sending() as client:
        for _ in range(2):
            assert (await client.post(one.url, HEADERS, BODY)).answer == "ok"
            assert (await client.post(two.url, HEADERS, BODY)).answer == "two"
    assert (one.connections, two.connections) == (1, 1)


@pytest.mark.parametrize("conduct", [says(OK, goes_on=False), answers(200, Connection="close")])
async def test_a_connection_that_the_receiver_closed_is_noticed(conduct: Any) -> None:
    async with receiving(conduct) as receiver, sending() as client:
        for _ in range(3):
            assert (await client.post(receiver.url, HEADERS, BODY)).is_delivered
            await asyncio.sleep(0.02)
    assert receiver.connections == 3


@pytest.mark.parametrize("end", [resets, says(b"", goes_on=False)])
async def test_a_kept_connection_that_ends_at_the_request_is_replaced(end: Any) -> None:
    async with receiving(says(OK), end, says(OK)) as receiver, sending() as client:
        for _ in range(2):
            assert (await client.post(receiver.url, HEADERS, BODY)).is_delivered
    assert receiver.connections == 2
    assert len(receiver.bodies) == 3


async def test_a_new_connection_that_ends_at_the_request_is_not() -> None:
    async with receiving(resets) as receiver, sending() as client:
        assert not (await client.post(receiver.url, HEADERS, BODY)).is_delivered
    assert receiver.connections == 1


@pytest.mark.parametrize("rest", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret", b"x"])
async def test_what_follows_an_answer_is_never_taken_for_the_next(rest: bytes) -> None:
    async with receiving(says(OK + rest), answers(200, b"next")) as receiver, sending() as client:
        assert (await client.post(f"{receiver.url}/one", HEADERS, BODY)).answer == "ok"
        assert (await client.post(f"{receiver.url}/two", HEADERS, BODY)).answer == "next"


async def test_what_comes_between_answers_is_never_taken_for_the_next() -> None:
    is_read, is_there = asyncio.Event(), asyncio.Event()

    async def unasked(writer: asyncio.StreamWriter) -> bool:
        writer.write(OK)
        await is_read.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
        await asyncio.sleep(0.05)
        is_there.set()
        return True

    async with receiving(unasked, answers(200, b"next")) as receiver, sending() as client:
        await client.post(receiver.url, HEADERS, BODY)
        is_read.set()
        await is_there.wait()
        assert (await client.post(receiver.url, HEADERS, BODY)).answer == "next"


async def test_no_more_connections_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEPT_MAX", 2)
    all_five = asyncio.Barrier(5)

    async def answers_five(writer: asyncio.StreamWriter) -> bool:
        await all_five.wait()
        writer.write(OK)
        return True

    async with receiving(answers_five) as receiver, sending() as client:
        await asyncio.gather(*(client.post(receiver.url, HEADERS, BODY) for _ in range(5)))
        await asyncio.gather(*(client.post(receiver.url, HEADERS, BODY) for _ in range(5)))
    assert receiver.connections == 8  # two of the five were kept


async def test_a_connection_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEPT_S", 0.03)
    async with receiving() as receiver, sending() as client:
        for _ in range(2):
            await client.post(receiver.url, HEADERS, BODY)
            await asyncio.sleep(0.05)
    assert receiver.connections == 2


async def test_a_slow_receiver_does_not_hold_another() -> None:
    async with receiving(hangs) as slow, receiving() as quick, sending() as client:
        waiting = [asyncio.create_task(client.post(slow.url, HEADERS, BODY)) for _ in range(20)]
        await until(lambda: len(slow.heads) == 20)
        assert (await client.post(quick.url, HEADERS, BODY)).is_delivered
        assert not any(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)


async def test_closing_closes_what_is_kept_and_what_is_under_way_when_it_ends() -> None:
    is_closed = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> bool:
        await is_closed.wait()
        writer.write(OK)
        return True

    async with receiving() as quick, receiving(late) as slow, sending() as client:
        await client.post(quick.url, HEADERS, BODY)
        posting = asyncio.create_task(client.post(slow.url, HEADERS, BODY))
        await until(lambda: slow.heads)
        await client.close()
        is_closed.set()
        assert (await posting).is_delivered
        await until(lambda: not quick.tasks and not slow.tasks)
