"""Keys for one purpose each, derived from the text of `COLLECTOR_SECRET_KEY`."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived_key(secret_key: str, purpose: str, length_bytes: int = 32) -> bytes:
    """A key by HKDF-SHA256 (RFC 5869). What is known of one purpose tells nothing of another.

    HKDF does not slow guessing down: the text must be of chance, as the generated one is.
    Raises ValueError if it is empty.
    """
    if not secret_key:
        raise ValueError("COLLECTOR_SECRET_KEY is empty: give it 32 bytes or more of chance")
    info = f"edges-collector {purpose}".encode()
    return HKDF(SHA256(), length_bytes, salt=None, info=info).derive(secret_key.encode())
