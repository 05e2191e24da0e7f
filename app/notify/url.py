"""What URL an endpoint may have, and its parts as a request needs them."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

import httpcore2
import httpx2

URL_CHARACTERS_MAX: Final = 2048
_LABEL: Final = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_HOST_CHARACTERS_MAX: Final = 253
# How many URLs are kept parsed, which takes longer than most of the rest of a request.
_KEPT_MAX: Final = 1024


class Origin(NamedTuple):
    """To whom a connection belongs."""

    scheme: str
    host: str
    """In ASCII; an IPv6 address without its brackets."""
    port: int

    @property
    def is_tls(self) -> bool:
        """Whether it is encrypted."""
        return self.scheme == "https"


class Target(NamedTuple):
    """Where a request goes."""

    origin: Origin
    url: httpcore2.URL
    host_header: bytes


def check_url(url: str, *, allow_plain: bool = False) -> str | None:
    """Why `url` cannot be an endpoint's, in words; None if it can.

    `allow_plain` allows http beside https. Nothing is resolved: where the host leads to is vetted
    whenever a connection is made.
    """
    try:
        target = target_of(url)
    except ValueError as error:
        return str(error)
    if not target.origin.is_tls and not allow_plain:
        return "the URL must begin with https://: over http:// anyone on the way can read it"
    return None


@lru_cache(_KEPT_MAX)
def target_of(url: str) -> Target:
    """The parts of an endpoint's URL. Raises ValueError that says why it is none."""
    if len(url) > URL_CHARACTERS_MAX:
        raise ValueError(f"the URL has more than {URL_CHARACTERS_MAX:,} characters")
    if not url.isprintable() or " " in url:
        raise ValueError("the URL has blanks or control characters: encode them as %20 and so on")
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx2.InvalidURL, ValueError) as error:
        raise ValueError(f"the URL cannot be read: {error}") from error
    if parsed.scheme not in ("http", "https"):
        raise ValueError(f"the URL must begin with https://, not with {parsed.scheme!r}")
    if parsed.userinfo:
        raise ValueError(
            "the URL has a user name or password in it: give the endpoint an Authorization header"
        )
    if not host:
        raise ValueError("the URL has no host")
    if ":" not in host and (len(host) > _HOST_CHARACTERS_MAX or _HOST_NAME.fullmatch(host) is None):
        raise ValueError(f"{host[:80]!r} is not a host name")
    if "%" in host:
        raise ValueError("the URL's address has a zone, which means nothing elsewhere")
    if "#" in url:
        raise ValueError("the URL has a fragment (#…), which is never sent: leave it out")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise ValueError(f"there is no port {parsed.port}: they go from 1 to 65535")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    return Target(
        Origin(parsed.scheme, host, port),
        httpcore2.URL(
            scheme=parsed.raw_scheme, host=parsed.raw_host, port=port, target=parsed.raw_path
        ),
        parsed.netloc,
    )
