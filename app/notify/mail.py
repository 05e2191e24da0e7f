"""Events as mail, sent over SMTP."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from time import monotonic
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from app.canonical import Json
from app.notify.answers import kept_answer
from app.notify.attempt import Attempt
from app.notify.facts import facts
from app.notify.headlines import headline
from app.notify.words import line

SUBJECT_LENGTH_MAX = 200
_ACCEPTED = 250
_GOODBYE_S = 2.0  # for the server to answer QUIT, when the mail is accepted already
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._-]")

_NO_URL = (
    "an SMTP URL is smtp://user:password@host:587 or smtps://user:password@host:465, with reserved"
    " characters in user and password percent-encoded"
)

Encryption = Literal["from_start", "required", "offered", "never"]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed over, and how."""

    host: str
    port: int
    user: str | None
    password: str | None
    encryption: Encryption

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port}, {self.encryption})"  # not the password


def check_recipient(text: str) -> str | None:
    """Why no mail can be sent to `text`; None if it can."""
    if "?" in text or "%" in text:  # of a mailto: URL: subjects and the like, escapes
        return "a mail address is like mailto:ops@example.com, with nothing behind it or escaped"
    try:
        _address(text)
    except ValueError as error:
        return str(error)
    return None


def smtp_server(url: str) -> SmtpServer:
    """What an SMTP URL says.

    `smtps://host` is encrypted from the start (port 465). `smtp://host` is encrypted by STARTTLS:
    required (port 587) if the URL has credentials, else where the server offers it (port 25);
    `?starttls=required` or `never` overrides that. Reserved characters in credentials are
    percent-encoded. Raises ValueError for any other URL; the message does not quote it.
    """
    try:
        parts = urlsplit(url)
        given_port = parts.port
    except ValueError:  # the library's messages quote what may be a piece of the password
        raise ValueError(_NO_URL) from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError(_NO_URL)
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError(_NO_URL)
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return SmtpServer(
        host=parts.hostname,
        port=given_port or _default_port(parts.scheme, has_user=user is not None),
        user=user,
        password=password,
        encryption=_encryption(parts.scheme, parts.query, has_user=user is not None),
    )


def _default_port(scheme: str, *, has_user: bool) -> int:
    if scheme == "smtps":
        return 465
    return 587 if has_user else 25


def _encryption(scheme: str, query: str, *, has_user: bool) -> Encryption:
    options = parse_qs(query, keep_blank_values=True)
    match options.pop("starttls", []):
        case _ if options:
            raise ValueError(f"an SMTP URL has no parameter {min(options)!r}, only starttls")
        case []:
            if scheme == "smtps":
                return "from_start"
            # A password must not go over the wire because somebody stripped the offer.
            return "required" if has_user else "offered"
        case ["required"] if scheme == "smtp":
            return "required"
        case ["never"] if scheme == "smtp":
            return "never"
    raise ValueError("in an SMTP URL starttls is required or never, and goes with smtp:// alone")


class Mailer:
    """Sends one mail for each event and recipient, over a connection of its own.

    Mail is rare next to webhooks, so connections are not kept. Raises ValueError if `url` is no
    SMTP URL, or `sender` (`a@b.c` or `Name <a@b.c>`) no address.
    """

    def __init__(self, url: str, sender: str, timeout_s: float) -> None:
        self._server = smtp_server(url)
        # parseaddr is lenient, and reads on behind a line break.
        name, address = parseaddr(sender) if sender.isprintable() else ("", sender)
        self._sender = _address(address, name)
        self._timeout_s = timeout_s

    async def send(
        self, recipient: str, event_id: str, event_type: str, data: Json, *, link: str | None
    ) -> Attempt:
        """Hand the mail over to the server. Raises nothing but CancelledError.

        `recipient` is one address without a name. That a server accepted a mail is all that can
        be known: bounces go to the sender's address.
        """
        started_s = monotonic()

        def attempt(problem: str | None, status: int | None = None, answer: str = "") -> Attempt:
            return Attempt(
                is_delivered=problem is None,
                took_ms=round((monotonic() - started_s) * 1000),
                status=status,
                problem=problem,
                answer=kept_answer(answer.encode(errors="replace")),
            )

        try:
            to = _address(recipient)
        except ValueError as error:
            return attempt(str(error))
        message = self._message(to, event_id, event_type, data, link)
        try:
            return attempt(None, _ACCEPTED, await self._handed_over(message, to))
        except SMTPRecipientsRefused as refused:
            reason = refused.recipients[0]
            return attempt(_refusal("the recipient", reason.code), reason.code, reason.message)
        except SMTPAuthenticationError as error:
            return attempt(_refusal("user or password", error.code), error.code, error.message)
        except SMTPResponseException as error:
            return attempt(_refusal("the mail", error.code), error.code, error.message)
        except TimeoutError:  # aiosmtplib's time-outs are among these
            return attempt(f"the mail server took longer than {self._timeout_s:g} s")
        except (SMTPException, OSError) as error:
            return attempt(f"no mail could be sent through {self._server.host}: {line(str(error))}")
        except Exception as error:  # a delivery that raises would stop those behind it
            return attempt(f"no mail could be sent: {type(error).__name__} {line(str(error))}")

    def written(
        self, recipient: str, event_id: str, event_type: str, data: Json, *, link: str | None
    ) -> bytes:
        """The mail as it is sent. Raises ValueError if `recipient` is no address."""
        message = self._message(_address(recipient), event_id, event_type, data, link)
        return message.as_bytes()

    async def _handed_over(self, message: EmailMessage, to: Address) -> str:
        """What the server said when it accepted the mail."""
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            timeout=self._timeout_s,
            use_tls=server.encryption == "from_start",
            start_tls=_START_TLS[server.encryption],
            # Who we are by our own domain: the default asks DNS, which may take longer than
            # everything else, and tells the name of this machine.
            local_hostname=self._sender.domain,
        )
        try:
            # Bounds all steps together; the client's own time-out is for each of them.
            async with asyncio.timeout(self._timeout_s):
                await client.connect()
                _, answer = await client.send_message(
                    message, sender=self._sender.addr_spec, recipients=[to.addr_spec]
                )
            with suppress(SMTPException, OSError):  # accepted it is, however we part
                await client.quit(timeout=_GOODBYE_S)
            return answer
        finally:
            client.close()  # `async with client` would wait for QUIT when we are cancelled

    def _message(
        self, to: Address, event_id: str, event_type: str, data: Json, link: str | None
    ) -> EmailMessage:
        sentence = headline(event_type, data)
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = to
        message["Subject"] = line(sentence, SUBJECT_LENGTH_MAX)
        message["Date"] = formatdate(usegmt=True)
        # The same each time the event is sent, so that mailboxes show a repeat once.
        message["Message-ID"] = f"<{_NOT_IN_AN_ID.sub('-', event_id)}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
        message["X-Edges-Event-Type"] = _NOT_IN_AN_ID.sub("-", event_type)
        lines = [sentence, "", *(f"{name}: {value}" for name, value in facts(data))]
        if link:
            lines += ["", f"Open in the collector: {link}"]
        message.set_content("\n".join(lines) + "\n", cte="quoted-printable")
        return message


# As aiosmtplib has it: None takes what is offered.
_START_TLS: dict[Encryption, bool | None] = {
    "from_start": False,
    "required": True,
    "offered": None,
    "never": False,
}


def _address(text: str, name: str = "") -> Address:
    """One address. Raises ValueError for none, several, or one that could end a header."""
    try:
        address = Address(display_name=name, addr_spec=text)
    except (ValueError, IndexError, MessageError):
        address = Address()
    if not address.username or not address.domain or not text.isascii():
        raise ValueError(
            f"{text[:200]!r} is not a mail address: one like ops@example.com is needed"
        )
    return address


def _refusal(what: str, code: int) -> str:
    lasts = "" if code >= 500 else " for now"
    return f"the mail server refused {what}{lasts} (SMTP {code})"
