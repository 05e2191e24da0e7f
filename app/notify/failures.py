"""What went wrong on the way to a receiver, in words for whoever set the endpoint up.

No more of the URL than its host is said, and nothing of headers: either may hold a secret.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Final, TypeVar

import httpcore2

from app.notify.guard import CONNECT_S_MAX, RefusedAddressError
from app.notify.harmless import harmless
from app.notify.url import Origin

T = TypeVar("T", bound=BaseException)

_CHARACTERS_MAX: Final = 200


def problem_of(error: Exception, origin: Origin, timeout_s: float) -> str:
    """The problem that an error of `httpcore2` or `ssl` stands for, as a sentence.

    `timeout_s` is what all of the attempt may take.
    """
    host = origin.host
    match error:
        case RefusedAddressError():
            return str(error)
        case httpcore2.ConnectTimeout():
            connect_s = min(timeout_s, CONNECT_S_MAX)
            return str(error) or f"no connection to {host} within {connect_s:g} s"
        case httpcore2.PoolTimeout():
            return f"no turn within {timeout_s:g} s: too many other receivers are slow"
        case httpcore2.TimeoutException():
            return f"no answer within {timeout_s:g} s"
    tls = _tls_problem(error, host)
    if tls is not None:
        return tls
    match error:
        case httpcore2.ConnectError():
            return _connect_problem(error, origin)
        case httpcore2.NetworkError():
            is_reset = _cause(error, ConnectionResetError) is not None
            how = "was reset" if is_reset else "broke"
            return f"the connection {how} after the request was sent"
        case httpcore2.RemoteProtocolError():
            return _protocol_problem(error)
        case httpcore2.LocalProtocolError():
            return "a header cannot be sent: look for line breaks, or blanks at the ends, in them"
    return f"it failed unexpectedly ({type(error).__name__}); the collector's log has more"


def _protocol_problem(error: httpcore2.RemoteProtocolError) -> str:
    if "without sending a response" in str(error):
        return "the connection was closed without an answer"
    return _cut(f"the answer is not HTTP/1.1: {error}")


def _connect_problem(error: Exception, origin: Origin) -> str:
    host = origin.host
    unresolved = _cause(error, socket.gaierror)
    if unresolved is not None:
        return _cut(f"the name {host} was not found: {unresolved.strerror}")
    if _cause(error, ConnectionRefusedError) is not None:
        return f"{host} refuses connections on port {origin.port}"
    system = _cause(error, OSError)
    said = system.strerror if system is not None and system.strerror else str(error)
    return _cut(f"no connection to {host}: {said or 'it was closed at once'}")


def _tls_problem(error: Exception, host: str) -> str | None:
    certificate = _cause(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        return _cut(f"the certificate of {host} is not valid: {certificate.verify_message}")
    tls = _cause(error, ssl.SSLError)
    if tls is not None:
        return _cut(f"no TLS with {host}: {tls.reason or tls}")
    return None


def _cut(text: str) -> str:
    return harmless(text)[:_CHARACTERS_MAX]


def _cause(error: BaseException, kind: type[T]) -> T | None:
    return next((one for one in _causes(error) if isinstance(one, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what led to it, groups taken apart."""
    seen: BaseException | None = error
    while seen is not None:
        # These two are no errors, but how `ssl` waits; what happens meanwhile has them as context.
        if not isinstance(seen, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            yield seen
        if isinstance(seen, BaseExceptionGroup):
            for one in seen.exceptions:
                yield from _causes(one)
        seen = seen.__cause__ or seen.__context__
