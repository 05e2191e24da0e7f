"""Sessions of the dashboard: a signed cookie stands for a key, for half a day at most."""

from secrets import token_hex
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.api.access import Access, Keyring

COOKIE = "collector_session"
SESSION_S = 12 * 3_600
COOKIE_S = 7 * 24 * 3_600
"""Longer than it is good for, so that whoever comes back is told that the session ended."""

_SAFE = ("GET", "HEAD")


class Session(NamedTuple):
    """Somebody who is signed in."""

    access: Access
    nonce: str
    """Tells it from others of the same key."""


class Sessions:
    """Makes and reads the cookies. They hold a key's id, never the key."""

    def __init__(self, keyring: Keyring, secret_key: str, earlier: list[str]) -> None:
        """`earlier` are secrets that signed before: what they signed is still taken."""
        self._keyring = keyring
        self._cookie = URLSafeTimedSerializer([*earlier, secret_key], salt="dashboard session")
        self._form = URLSafeTimedSerializer([*earlier, secret_key], salt="dashboard form")

    def begin(self, connection: HTTPConnection, response: Response, access: Access) -> None:
        """Sign somebody in: sets the cookie."""
        response.set_cookie(
            COOKIE,
            self._cookie.dumps([access.key_id, token_hex(16)]),
            max_age=COOKIE_S,
            httponly=True,
            samesite="lax",  # links in messages lead here, and are to find who is signed in
            secure=_is_secure(connection),
        )

    def end(self, response: Response) -> None:
        """Sign out: removes the cookie."""
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")

    async def of(self, connection: HTTPConnection) -> Session | None:
        """The session of a request; None without one, once it expired, or if its key is gone.

        Raises StoreUnavailableError.
        """
        cookie = connection.cookies.get(COOKIE, "")
        try:
            key_id, nonce = self._cookie.loads(cookie, max_age=SESSION_S)
        except (BadSignature, ValueError, TypeError):
            return None
        access = await self._keyring.by_id(key_id)
        if access is None:
            return None
        return Session(access, nonce)

    def form_token(self, session: Session) -> str:
        """What every form of the session has to carry: known to its own pages alone."""
        return str(self._form.dumps(session.nonce))

    def is_own_form(self, session: Session, token: str) -> bool:
        """Whether a form's `token` was made for the session that it came with."""
        try:
            return bool(self._form.loads(token, max_age=SESSION_S) == session.nonce)
        except (BadSignature, ValueError, TypeError):
            return False

    async def access_of(self, connection: HTTPConnection) -> Access | None:
        """What the session of a request opens in the API, which by cookie can only be read.

        Nothing if another site has the browser ask: a cookie is sent along unasked.
        """
        if connection.scope["method"] not in _SAFE or is_from_elsewhere(connection):
            return None
        session = await self.of(connection)
        return session.access if session else None


def is_from_elsewhere(connection: HTTPConnection) -> bool:
    """Whether a browser says that a page of another site made it ask."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = connection.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != connection.headers.get("host")


def _is_secure(connection: HTTPConnection) -> bool:
    """Whether the browser came by TLS, be it to a proxy in front.

    Whoever makes the header up only keeps the cookie from their own browser.
    """
    forwarded = connection.headers.get("x-forwarded-proto", "")
    return connection.url.scheme == "https" or "https" in forwarded.lower()
