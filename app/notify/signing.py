"""Signatures of webhooks, by which a receiver knows that a message is ours, and whole.

Standard Webhooks 1.0.0, section "Signature scheme". What is signed is `{id}.{timestamp}.{body}`.

| scheme | signature   | secret                        | what a receiver verifies with |
|--------|-------------|-------------------------------|-------------------------------|
| `v1`   | HMAC-SHA256 | `whsec_` and 24 to 64 bytes   | the secret itself             |
| `v1a`  | Ed25519     | `whsk_` and the key pair      | `whpk_` and the public key    |

Bytes are written in base64. The specification leaves open how a secret Ed25519 key is written:
here, as in Svix's server, it is the 32 bytes of the seed followed by the public key. The seed
alone is understood too.
"""

import binascii
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from hmac import digest as hmac_digest
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Scheme = Literal["v1", "v1a"]

_SYMMETRIC = "whsec_"
_PRIVATE = "whsk_"
_PUBLIC = "whpk_"

_SYMMETRIC_BYTES_MIN, _SYMMETRIC_BYTES_MAX = 24, 64
_NEW_SYMMETRIC_BYTES = 32
_SEED_BYTES = 32

_MESSAGE_ID = re.compile(r"[!-\-/-~]+")  # what may be seen of ASCII, but for the full stop

_KEYS_MAX = 4_096  # more endpoints than are signed for at once; reading one again costs little


def new_secret(scheme: Scheme) -> str:
    """A secret of chance for one endpoint. Endpoints must not share one."""
    if scheme == "v1":
        return _SYMMETRIC + _base64(secrets.token_bytes(_NEW_SYMMETRIC_BYTES))
    key = Ed25519PrivateKey.generate()
    return _PRIVATE + _base64(key.private_bytes_raw() + key.public_key().public_bytes_raw())


def public_key(secret: str) -> str | None:
    """What receivers of `v1a` verify with; None for `v1`, where that is the secret itself.

    Raises ValueError if `secret` is not one.
    """
    if not secret.startswith(_PRIVATE):
        _signer(secret)
        return None
    return _PUBLIC + _base64(_private_key(secret).public_key().public_bytes_raw())


def signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """One entry of `webhook-signature`, such as `v1,K5oZ…`.

    Raises ValueError if `secret` is not one, or `message_id` could be mistaken for more.
    """
    return _signer(secret)(_signed_content(message_id, timestamp_s, body))


def signed_headers(
    secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes
) -> dict[str, str]:
    """The headers of a message. While a secret rotates, `secrets` are the new and the old one.

    `message_id` stays the same when a message is sent again, `timestamp_s` (Unix seconds) is
    that of the attempt. Raises ValueError as `signature` does, and if there are no `secrets`.
    """
    if not secrets:
        raise ValueError("a webhook is signed with one secret at least")
    content = _signed_content(message_id, timestamp_s, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join([_signer(secret)(content) for secret in secrets]),
    }


def _signed_content(message_id: str, timestamp_s: int, body: bytes) -> bytes:
    # With a full stop in the id, parts of it could pass for the time or the body.
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError(
            f"the id of a webhook is ASCII without blanks and full stops, not {message_id!r}"
        )
    return f"{message_id}.{timestamp_s}.".encode() + body


@lru_cache(maxsize=_KEYS_MAX)
def _signer(secret: str) -> Callable[[bytes], str]:
    """Makes signatures with `secret`, which is read once."""
    if secret.startswith(_PRIVATE):
        sign = _private_key(secret).sign
        return lambda content: "v1a," + _base64(sign(content))
    key = _symmetric_key(secret)
    return lambda content: "v1," + _base64(hmac_digest(key, content, "sha256"))


def _symmetric_key(secret: str) -> bytes:
    key = _key_bytes(secret, _SYMMETRIC)
    if not _SYMMETRIC_BYTES_MIN <= len(key) <= _SYMMETRIC_BYTES_MAX:
        raise ValueError(
            f"a {_SYMMETRIC} secret holds {_SYMMETRIC_BYTES_MIN} to {_SYMMETRIC_BYTES_MAX} bytes,"
            f" this one {len(key)}"
        )
    return key


def _private_key(secret: str) -> Ed25519PrivateKey:
    pair = _key_bytes(secret, _PRIVATE)
    if len(pair) not in (_SEED_BYTES, 2 * _SEED_BYTES):
        raise ValueError(
            f"a {_PRIVATE} secret holds a seed of {_SEED_BYTES} bytes, or that and the public key;"
            f" this one has {len(pair)} bytes"
        )
    key = Ed25519PrivateKey.from_private_bytes(pair[:_SEED_BYTES])
    if pair[_SEED_BYTES:] not in (b"", key.public_key().public_bytes_raw()):
        raise ValueError(f"the two halves of this {_PRIVATE} secret do not belong together")
    return key


def _key_bytes(secret: str, prefix: str) -> bytes:
    # No message quotes the secret: it would end up in a log.
    if not secret.startswith(prefix):
        raise ValueError(f"a secret begins with {_SYMMETRIC} (v1) or {_PRIVATE} (v1a)")
    try:
        return b64decode(secret.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {prefix} is not base64") from None


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
