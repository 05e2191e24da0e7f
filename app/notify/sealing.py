"""Secrets of endpoints at rest: encrypted in the database, with a key that is not in it."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.notify.derived_keys import derived_key

_VERSION = "s1"
_NONCE_BYTES = 12  # of chance: safe for 2^32 secrets under one key (NIST SP 800-38D, 8.3)
_KEY_ID_BYTES = 6


class SealError(Exception):
    """A sealed secret cannot be read; the message says what to do."""


class Seal:
    """Seals with the current secret key; opens what an earlier one sealed as well.

    Sealed text is `s1.<key id>.<nonce and AES-256-GCM ciphertext, base64url>`. The key id tells
    which secret key is needed, and nothing about it.
    """

    def __init__(self, current: str, earlier: Sequence[str] = ()) -> None:
        self._current_id = _key_id(current)
        self._ciphers = {_key_id(text): _cipher(text) for text in (current, *earlier)}

    def seal(self, plain: str, context: str) -> str:
        """`plain` as sealed text that opens under the same `context` alone, such as an id."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self._current_id]
        secret = cipher.encrypt(nonce, plain.encode(), _bound_to(self._current_id, context))
        return f"{_VERSION}.{self._current_id}.{_text(nonce + secret)}"

    def open(self, sealed: str, context: str) -> str:
        """What was sealed. Raises SealError."""
        version, _, rest = sealed.partition(".")
        key_id, _, content = rest.partition(".")
        if version != _VERSION:
            raise SealError(
                "the secret is damaged, or was sealed by a newer version of the collector: restore"
                " it from a backup, or rotate the endpoint's secret"
            )
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealError(
                "sealed with another COLLECTOR_SECRET_KEY: give all replicas the same one, or name"
                " the earlier one in COLLECTOR_PREVIOUS_SECRET_KEYS"
            )
        try:
            raw = _bytes(content)
            nonce, secret = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return cipher.decrypt(nonce, secret, _bound_to(key_id, context)).decode()
        except (InvalidTag, ValueError):
            raise SealError(
                "the secret is damaged, or is that of another endpoint: restore it from a backup,"
                " or rotate the endpoint's secret"
            ) from None

    def is_current(self, sealed: str) -> bool:
        """Whether the current key sealed it. If not, seal it anew before that key is taken away."""
        return sealed.startswith(f"{_VERSION}.{self._current_id}.")


def _cipher(secret_key: str) -> AESGCM:
    return AESGCM(derived_key(secret_key, "sealing of secrets"))


def _key_id(secret_key: str) -> str:
    return _text(derived_key(secret_key, "id of the sealing key", _KEY_ID_BYTES))


def _bound_to(key_id: str, context: str) -> bytes:
    return f"{_VERSION}.{key_id}.{context}".encode()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    """The reverse of `_text`. Raises ValueError for all that `_text` does not write."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(data) != text:  # the decoder skips foreign characters, and ignores spare bits
        raise ValueError("not canonical base64url")
    return data
