"""Who asks, and what they may do: the keys that open the API, looked up without a query each."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Collection
from math import inf
from time import monotonic, time_ns
from typing import NamedTuple

import structlog
from uuid_utils import uuid7

from app.model import timestamp
from app.store.api_keys import ApiKeyRow, ApiKeys
from app.store.protocol import StoreUnavailableError

SCOPES = ("read", "write", "admin")
"""Each includes those before it."""

ADMIN_KEY_ID = "admin"
PREFIX = "edc_"
"""By which a key is known to be one of ours, also to whatever looks for leaked ones."""

LIVE_MAX = 1_000
"""Keys that may be neither revoked nor expired at once."""

LOOK_UP_S = 5.0
"""How long what the store said of keys is taken for true: what another replica revoked ends by
then."""

_KNOWN_MAX = 2 * LIVE_MAX
_LOOK_UP_PAUSE_S = 0.05
"""Between two look-ups, however many unknown keys are sent."""

_USE_APART_MS = 60_000
_USE_PAUSE_S = 1.0
_FOUND_BY_BYTES = 16
_HINT_LENGTH = 4

log = structlog.get_logger("api")


class Access(NamedTuple):
    """A key that was given, as far as it matters for what it opens."""

    key_id: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether it opens what needs `scope`, one of `SCOPES`."""
        return not self.scopes.isdisjoint(SCOPES[SCOPES.index(scope) :])


class NewKey(NamedTuple):
    """A key that was just made. It is kept nowhere: only the row is."""

    key: str
    row: ApiKeyRow


def new_key(name: str, scopes: Collection[str], expires_ms: int | None) -> NewKey:
    """Make a key with these of `SCOPES`, until `expires_ms` (Unix time) if that is given."""
    key = PREFIX + secrets.token_urlsafe(32)
    row = ApiKeyRow(
        f"key_{uuid7().hex}",
        name,
        ",".join(scope for scope in SCOPES if scope in scopes),
        _digest(key),
        hint_of(key),
        time_ns() // 1_000_000,
        expires_ms,
    )
    return NewKey(key, row)


def hint_of(key: str) -> str:
    """The end of a key, by which people tell one from another."""
    return key[-_HINT_LENGTH:]


def hint_of_admin(key: str) -> str | None:
    """The same of an admin key; None of a short one, of which it would tell too much."""
    return hint_of(key) if len(key) >= 5 * _HINT_LENGTH else None


class _Known(NamedTuple):
    """What the store said of keys, and when it was asked."""

    asked_s: float
    changes: int
    by_digest: dict[bytes, ApiKeyRow]
    by_id: dict[str, ApiKeyRow]


class Keyring:
    """The keys that open this collector.

    All keys are read from the store at once and kept for `LOOK_UP_S`. Whoever gives one that is
    not among them waits for the next reading, of which there are never two at a time.
    """

    def __init__(self, admin_key: str, keys: ApiKeys) -> None:
        """`admin_key` is that of the settings, which opens everything, always."""
        self._admin_digest = _digest(admin_key)
        self._admin = Access(ADMIN_KEY_ID, "admin key", frozenset(SCOPES))
        self.admin_hint = hint_of_admin(admin_key)
        self._keys = keys
        self._known = _Known(-inf, 0, {}, {})
        self._changes = 0
        self._looking = asyncio.Lock()
        self._noted_ms: dict[str, int] = {}
        self._unwritten_ms: dict[str, int] = {}
        self._is_used = asyncio.Event()

    async def identify(self, key: str) -> Access | None:
        """What a key opens; None if it is not known, revoked or expired.

        Raises StoreUnavailableError, but not for the admin key.
        """
        digest = _digest(key)
        if hmac.compare_digest(digest, self._admin_digest):
            return self._admin
        now_s = monotonic()
        await self._look_up(now_s - LOOK_UP_S)
        row = self._found(digest)
        if row is None and key.startswith(PREFIX):  # it may have been made a moment ago
            await self._look_up(now_s)
            row = self._found(digest)
        return self._opened(row)

    async def by_id(self, key_id: str) -> Access | None:
        """What the key with this id opens now; None if it opens nothing any more.

        Raises StoreUnavailableError, but not for the admin key.
        """
        if key_id == ADMIN_KEY_ID:
            return self._admin
        now_s = monotonic()
        await self._look_up(now_s - LOOK_UP_S)
        row = self._known.by_id.get(key_id)
        if row is None:
            await self._look_up(now_s)
            row = self._known.by_id.get(key_id)
        return self._opened(row)

    def refusal(self, key: str) -> str:
        """Why a key that `identify` just refused opens nothing, and what to do."""
        row = self._found(_digest(key))
        if row is None:
            return "this API key is not known here: check that all of it was copied"
        ended = f"the API key {row.name} was revoked at {timestamp(row.revoked_ms or 0)}"
        if row.revoked_ms is None:
            ended = f"the API key {row.name} expired at {timestamp(row.expires_ms or 0)}"
        return f"{ended}: use another one, or have one made"

    def changed(self) -> None:
        """Look keys up anew: something was just written about them."""
        self._changes += 1

    def _found(self, digest: bytes) -> ApiKeyRow | None:
        """The row with this digest, compared in a time that does not tell how much is right."""
        row = self._known.by_digest.get(digest[:_FOUND_BY_BYTES])
        return row if row is not None and hmac.compare_digest(digest, row.digest) else None

    def _opened(self, row: ApiKeyRow | None) -> Access | None:
        now_ms = time_ns() // 1_000_000
        if row is None or not row.is_live(now_ms):
            return None
        if now_ms - self._noted_ms.get(row.key_id, 0) >= _USE_APART_MS:
            self._noted_ms[row.key_id] = self._unwritten_ms[row.key_id] = now_ms
            self._is_used.set()
        return access_of(row)

    async def _look_up(self, since_s: float) -> None:
        """Read all keys, unless they were read since then and not changed here after that."""
        while not self._is_fresh(since_s):
            async with self._looking:
                if self._is_fresh(since_s):  # by whoever waited before
                    return
                await asyncio.sleep(self._known.asked_s + _LOOK_UP_PAUSE_S - monotonic())
                asked_s, changes = monotonic(), self._changes
                rows = await self._keys.known(time_ns() // 1_000_000, _KNOWN_MAX)
                self._known = _Known(
                    asked_s,
                    changes,
                    {row.digest[:_FOUND_BY_BYTES]: row for row in rows},
                    {row.key_id: row for row in rows},
                )
                self._noted_ms = {
                    key_id: ms
                    for key_id, ms in self._noted_ms.items()
                    if key_id in self._known.by_id
                }

    def _is_fresh(self, since_s: float) -> bool:
        return self._known.asked_s >= since_s and self._known.changes == self._changes

    async def note_uses(self) -> None:
        """Write when keys were used, until cancelled: of each at most once a minute."""
        while True:
            await self._is_used.wait()
            self._is_used.clear()
            used, self._unwritten_ms = self._unwritten_ms, {}
            try:
                await self._keys.note_used(used, apart_ms=_USE_APART_MS)
            except StoreUnavailableError as error:
                log.warning("the last use of keys is not noted", reason=str(error))
                for key_id in used:
                    self._noted_ms.pop(key_id, None)  # the next use is
            await asyncio.sleep(_USE_PAUSE_S)


def access_of(row: ApiKeyRow) -> Access:
    """What a key opens while it is live."""
    widest = max(map(SCOPES.index, row.scopes.split(",")))
    return Access(row.key_id, row.name, frozenset(SCOPES[: widest + 1]))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
