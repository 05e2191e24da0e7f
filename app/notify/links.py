"""Links that let whoever holds one fetch one thing for a while, without an API key.

The signature covers the path and the time of expiry. What stands in other parameters of the
query is not covered: where that matters, sign it as part of the path.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from app.notify.derived_keys import derived_key

_EXPIRES = re.compile(r"[0-9]{1,12}", re.ASCII)
_NOT_VALID = (
    "the signature of this link is not valid: it was cut or changed, or is for another address"
)
_EXPIRED = "this link has expired: ask for the event again, or use an API key"


class LinkSigner:
    """Signs with the current secret key; links that an earlier one signed stay valid."""

    def __init__(self, current: str, earlier: Sequence[str] = ()) -> None:
        self._keys = [derived_key(text, "signing of links") for text in (current, *earlier)]

    def query(self, path: str, expires_s: int) -> str:
        """`expires=…&signature=…`, which opens `path` until `expires_s` (Unix seconds).

        Raises ValueError if `expires_s` is negative, or more than twelve digits long.
        """
        expires = str(expires_s)
        if not _EXPIRES.fullmatch(expires):
            raise ValueError(f"{expires_s} is no time at which a link could expire")
        return f"expires={expires}&signature={_signature(self._keys[0], path, expires)}"

    def problem(self, path: str, expires: str, signature: str, now_s: float) -> str | None:
        """Why the link does not open `path`, in words for whoever follows it; None if it does.

        `path` is compared as it was signed: decoded both times, or neither. Only of a genuine
        link is it told that it has expired.
        """
        given = signature.encode(errors="replace")
        is_genuine = False
        for key in self._keys:  # each is tried, so that the time taken does not tell which it was
            is_genuine |= hmac.compare_digest(_signature(key, path, expires).encode(), given)
        if not is_genuine or not _EXPIRES.fullmatch(expires):
            return _NOT_VALID
        return _EXPIRED if now_s >= int(expires) else None


def _signature(key: bytes, path: str, expires: str) -> str:
    # The time comes first and holds no line feed when it was signed, so that the two cannot run
    # into each other.
    content = f"{expires}\n{path}".encode(errors="surrogatepass")
    return urlsafe_b64encode(hmac.digest(key, content, "sha256")).rstrip(b"=").decode("ascii")
