"""Mail, handed to a real server and read back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.notify.attempt import ANSWER_BYTES_MAX, Attempt
from app.notify.mail import Mailer, SmtpServer, check_recipient
from app.notify.mail import smtp_server as read_url
from tests.notify.events import RUN
from tests.notify.smtp_server import make_certificate, smtp_server

pytestmark = pytest.mark.anyio

SENDER = "Edges collector <collector@example.com>"
CREDENTIALS = "ops:p%40ss%20word@"


async def mailed(
    url: str,
    to: str = "ops@example.org",
    *,
    data: Any = RUN,
    link: str | None = None,
    timeout_s: float = 5.0,
    event_id: str = "0197-event",
) -> Attempt:
    mailer = Mailer(url, SENDER, timeout_s)
    return await mailer.send(to, event_id, "run.failed", data, link=link)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a server that we trust."""
    path = make_certificate(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


async def test_a_mail_tells_what_happened() -> None:
    link = "https://collector.example/runs/r?expires=1&signature=" + "x" * 80
    async with smtp_server() as inbox:
        attempt = await mailed(f"smtp://127.0.0.1:{inbox.port}", link=link)
    assert attempt._replace(took_ms=0) == Attempt(
        is_delivered=True, took_ms=0, status=250, answer="Accepted as 42"
    )
    [envelope], [message] = inbox.envelopes, inbox.messages
    assert (envelope.mail_from, envelope.rcpt_tos) == ("collector@example.com", ["ops@example.org"])
    assert message["From"] == SENDER
    assert message["To"] == "ops@example.org"
    assert message["Subject"] == (
        "Run linkedin-extract-people (0197f0c2-aaaa-7000-8000-000000000001) failed:"
        " LIMIT_REACHED: Daily limit reached"
    )
    assert message["Message-ID"] == "<0197-event@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Edges-Event-Type"] == "run.failed"
    assert message["Date"].datetime.tzinfo is not None
    lines = message.get_content().splitlines()
    assert lines[0] == message["Subject"]
    assert "Results: 1,188 of 1,200 expected" in lines
    assert lines[-1] == f"Open in the collector: {link}"


async def test_what_others_wrote_cannot_add_headers_or_recipients() -> None:
    evil = "x\r\nBcc: eve@evil.example\r\n\r\n.\r\nMAIL FROM:<eve@evil.example>\r\n"
    error = {"label": evil, "message": evil}
    data = {**RUN, "action_name": evil, "run_uid": evil, "last_error": error, "status": evil}
    async with smtp_server() as inbox:
        attempt = await mailed(
            f"smtp://127.0.0.1:{inbox.port}", data=data, link="https://c/" + evil, event_id=evil
        )
    assert attempt.is_delivered
    [envelope], [message] = inbox.envelopes, inbox.messages
    assert envelope.rcpt_tos == ["ops@example.org"]
    assert {name.lower() for name in message} == {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "x-edges-event-type",
        "content-type", "content-transfer-encoding", "mime-version",
    }  # fmt: skip
    assert message["Message-ID"].count("@") == 1


async def test_text_in_any_script_arrives_as_it_was() -> None:
    data = {**RUN, "action_name": "Zoë 日本 " * 20, "last_error": {"message": "è́ 🙈\0\ud800"}}
    async with smtp_server() as inbox:
        assert (await mailed(f"smtp://127.0.0.1:{inbox.port}", data=data)).is_delivered
    [message] = inbox.messages
    assert "Zoë 日本" in message["Subject"]
    assert len(message["Subject"]) <= 200
    assert "Error: è́ 🙈" in message.get_content()
    assert inbox.envelopes[0].content.isascii()


@pytest.mark.parametrize(
    "answer", ["550 5.1.1 No such user", "451 4.7.1 Greylisted, come back later"]
)
async def test_a_recipient_that_is_refused_is_told_with_the_servers_words(answer: str) -> None:
    async with smtp_server() as inbox:
        inbox.refused["ops@example.org"] = answer
        attempt = await mailed(f"smtp://127.0.0.1:{inbox.port}")
    code, words = int(answer[:3]), answer[4:]
    assert not attempt.is_delivered
    assert (attempt.status, attempt.answer) == (code, words)
    assert "refused the recipient" in (attempt.problem or "")
    assert ("for now" in (attempt.problem or "")) == (code < 500)
    assert inbox.envelopes == []


async def test_a_mail_that_is_refused_is_told_with_a_bounded_answer() -> None:
    async with smtp_server() as inbox:
        inbox.answer = "\r\n".join(["554-" + "no\0" * 100] * 20 + ["554 never"])
        attempt = await mailed(f"smtp://127.0.0.1:{inbox.port}")
    assert (attempt.is_delivered, attempt.status) == (False, 554)
    assert 0 < len(attempt.answer.encode()) <= ANSWER_BYTES_MAX
    assert "\0" not in attempt.answer


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "ops",
        "a@b.example, c@d.example",
        "a@b.example c@d.example",
        "Ops <a@b.example>",
        "a@b.example\r\nBcc: eve@evil.example",
        "a@b.example>\r\nRCPT TO:<eve@evil.example",
        "zoë@example.org",
        "@example.org",
    ],
)
async def test_what_is_not_one_address_is_not_tried(recipient: str) -> None:
    async with smtp_server() as inbox:
        attempt = await mailed(f"smtp://127.0.0.1:{inbox.port}", recipient)
    assert not attempt.is_delivered
    assert "is not a mail address" in (attempt.problem or "")
    assert inbox.envelopes == []


# ------------------------------------------------------------ encryption and credentials


async def test_credentials_go_over_starttls(certificate: Path) -> None:
    async with smtp_server(certificate) as inbox:
        attempt = await mailed(f"smtp://{CREDENTIALS}127.0.0.1:{inbox.port}")
    assert attempt.problem is None
    assert inbox.were_encrypted == [True]
    assert inbox.logins == [(b"ops", b"p@ss word")]


async def test_smtps_is_encrypted_from_the_start(certificate: Path) -> None:
    async with smtp_server(
        certificate, is_encrypted_from_start=True, auth_require_tls=False
    ) as inbox:
        attempt = await mailed(f"smtps://{CREDENTIALS}127.0.0.1:{inbox.port}")
    assert attempt.problem is None
    assert inbox.logins == [(b"ops", b"p@ss word")]


async def test_starttls_is_used_where_it_is_offered(certificate: Path) -> None:
    async with smtp_server(certificate) as inbox:
        assert (await mailed(f"smtp://127.0.0.1:{inbox.port}")).is_delivered
        assert (await mailed(f"smtp://127.0.0.1:{inbox.port}?starttls=never")).is_delivered
    assert inbox.were_encrypted == [True, False]


@pytest.mark.parametrize(
    "url", [f"smtp://{CREDENTIALS}127.0.0.1:PORT", "smtp://127.0.0.1:PORT?starttls=required"]
)
async def test_nothing_goes_out_where_starttls_is_required_and_not_offered(url: str) -> None:
    async with smtp_server(auth_require_tls=False) as inbox:
        attempt = await mailed(url.replace("PORT", str(inbox.port)))
    assert not attempt.is_delivered
    assert "STARTTLS" in (attempt.problem or "")
    assert inbox.envelopes == inbox.logins == []


async def test_a_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    async with smtp_server(make_certificate(tmp_path / "self-made.pem")) as inbox:
        attempt = await mailed(f"smtp://{CREDENTIALS}127.0.0.1:{inbox.port}")
    assert not attempt.is_delivered
    assert "certificate" in (attempt.problem or "").lower()
    assert inbox.envelopes == inbox.logins == []


async def test_wrong_credentials_are_told_and_not_quoted(certificate: Path) -> None:
    async with smtp_server(certificate) as inbox:
        attempt = await mailed(f"smtp://ops:wr0ng@127.0.0.1:{inbox.port}")
    assert (attempt.is_delivered, attempt.status) == (False, 535)
    assert "user or password" in (attempt.problem or "")
    assert "wr0ng" not in repr(attempt)


# -------------------------------------------------------------------- servers that fail


@asynccontextmanager
async def scripted_server(*answers: bytes, hangs: bool = False) -> AsyncIterator[str]:
    """Says one answer after another, each to one line, then hangs up or falls silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            writer.write(answer)
            await writer.drain()
            if not await reader.readline():
                break
        if hangs:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.sleep(0.05)  # for those who serve to see the end


GREETING, HELLO = b"220 mx\r\n", b"250 mx\r\n"
OK = b"250 ok\r\n"


@pytest.mark.parametrize("answers", [(), (GREETING,), (GREETING, HELLO, OK, OK, b"354 go\r\n")])
async def test_a_server_that_hangs_is_given_up(answers: tuple[bytes, ...]) -> None:
    async with scripted_server(*answers, hangs=True) as url:
        attempt = await mailed(url, timeout_s=0.3)
    assert not attempt.is_delivered
    assert "longer than 0.3 s" in (attempt.problem or "")
    assert 250 <= attempt.took_ms < 20_000


async def test_all_steps_together_have_the_time_that_is_given() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (GREETING, HELLO, OK, OK, b"354 go\r\n"):
            await asyncio.sleep(0.2)  # each in time, for itself
            writer.write(answer)
            if not await reader.readline():
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        attempt = await mailed(f"smtp://127.0.0.1:{port}", timeout_s=0.5)
        await asyncio.sleep(0.3)
    assert "longer than 0.5 s" in (attempt.problem or "")


@pytest.mark.parametrize(
    "answers",
    [(b"554 go away\r\n",), (b"HTTP/1.1 400 Bad Request\r\n",), (GREETING, b"\xff\xfe\r\n"),
     (GREETING, HELLO, b"421 closing\r\n")],
)  # fmt: skip
async def test_a_server_that_talks_nonsense_is_a_problem_and_no_error(
    answers: tuple[bytes, ...],
) -> None:
    async with scripted_server(*answers) as url:
        attempt = await mailed(url)
    assert not attempt.is_delivered
    assert attempt.problem


async def test_what_was_accepted_is_delivered_though_the_server_never_says_goodbye() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (GREETING, HELLO, OK, OK, b"354 go\r\n"):
            writer.write(answer)
            await reader.readline()
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(OK)
        await reader.read()  # QUIT stays without an answer
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        attempt = await mailed(f"smtp://127.0.0.1:{port}", timeout_s=60)
    await asyncio.sleep(0.05)
    assert attempt.is_delivered
    assert attempt.took_ms < 40_000


async def test_no_server_is_a_problem() -> None:
    async with scripted_server() as url:
        pass
    attempt = await mailed(url)
    assert not attempt.is_delivered
    assert "no mail could be sent through 127.0.0.1" in (attempt.problem or "")


async def test_a_cancelled_delivery_ends_at_once() -> None:
    async with scripted_server(GREETING, hangs=True) as url:
        task = asyncio.create_task(mailed(url, timeout_s=30))
        await asyncio.sleep(0.1)
        task.cancel()
        async with asyncio.timeout(20):
            with pytest.raises(asyncio.CancelledError):
                await task


# ---------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mx", SmtpServer("mx", 25, None, None, "offered")),
        ("smtp://mx/?starttls=required", SmtpServer("mx", 25, None, None, "required")),
        ("smtp://u:p@mx", SmtpServer("mx", 587, "u", "p", "required")),
        ("smtp://u:p@mx:25?starttls=never", SmtpServer("mx", 25, "u", "p", "never")),
        ("smtps://u%40x:p%2F@mx", SmtpServer("mx", 465, "u@x", "p/", "from_start")),
        ("smtps://[::1]:4650", SmtpServer("::1", 4650, None, None, "from_start")),
    ],
)
async def test_a_url_says_how_mail_is_handed_over(url: str, server: SmtpServer) -> None:
    assert read_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mx.example.com",
        "http://mx",
        "smtp://",
        "smtp://:secret@",
        "smtp://mx:port",
        "smtp://u:secret/slash@mx",
        "smtp://u:secret[@mx",
        "smtp://u:sec\u2100ret@mx",
        "smtp://u:secret@mx/path",
        "smtp://u:secret@mx?starttls=maybe",
        "smtp://u:secret@mx?starttls=never&starttls=required",
        "smtps://u:secret@mx?starttls=never",
        "smtp://u:secret@mx?tls=1",
        "smtp://u:sec#ret@mx",
    ],
)
async def test_a_url_that_says_something_else_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r"SMTP URL") as refused:
        Mailer(url, SENDER, 5)
    assert "sec" not in str(refused.value)


@pytest.mark.parametrize("sender", ["", "nobody", "a@b.c\r\nBcc: eve@evil.example"])
async def test_a_sender_has_an_address(sender: str) -> None:
    with pytest.raises(ValueError, match="is not a mail address"):
        Mailer("smtp://mx", sender, 5)


async def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(read_url("smtp://u:secret@mx"))


@pytest.mark.parametrize(
    "text",
    ["", "ops", "@example.com", "a@b@c", "a@b,c@d", "a b@c", "a@b?subject=c", "a%40b@c",
     "\N{LATIN SMALL LETTER U WITH DIAERESIS}@example.com", "a@b\r\nBcc: c@d"],
)  # fmt: skip
def test_addresses_that_no_mail_could_go_to_are_refused_when_they_are_set(text: str) -> None:
    assert check_recipient(text) is not None


def test_others_are_taken() -> None:
    assert check_recipient("ops+edges@example.com") is None
