"""Who asks, and what they may do."""

import hmac
from typing import NamedTuple

SCOPES = ("read", "write", "admin")
"""Each includes those before it."""

ADMIN_KEY_ID = "admin"


class Access(NamedTuple):
    """A key that was given, as far as it matters for what it opens."""

    key_id: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether it opens what needs `scope`, one of `SCOPES`."""
        return not self.scopes.isdisjoint(SCOPES[SCOPES.index(scope) :])


class Keyring:
    """The keys that open this collector."""

    def __init__(self, admin_key: str) -> None:
        self._admin_key = admin_key.encode()
        self._admin = Access(ADMIN_KEY_ID, "admin key", frozenset(SCOPES))

    async def identify(self, key: str) -> Access | None:
        """What a key opens; None if it is not known."""
        return self._admin if hmac.compare_digest(key.encode(), self._admin_key) else None

    async def by_id(self, key_id: str) -> Access | None:
        """What the key with this id opens now; None if it opens nothing any more."""
        return self._admin if key_id == ADMIN_KEY_ID else None
