"""Signatures: what stock libraries verify, and what they must not."""

import time
from base64 import b64decode, b64encode
from typing import Literal

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.notify.signing import new_secret, public_key, signature, signed_headers

BODY = '{"type":"edges.collector.run.failed","data":{"name":"Zoë"}}'.encode()


def now_s() -> int:
    return int(time.time())


def verify_v1a(public: str, headers: dict[str, str], body: bytes) -> None:
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    entries = [entry.split(",") for entry in headers["webhook-signature"].split(" ")]
    key.verify(b64decode(next(text for scheme, text in entries if scheme == "v1a")), content)


def test_the_signature_of_the_stock_library_is_ours_to_the_byte() -> None:
    # The secret, id and time of the library's own documentation.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = '{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body.encode()) == expected


@given(st.text(), st.integers(24, 64))
def test_the_stock_library_verifies_what_is_signed(text: str, key_bytes: int) -> None:
    secret = "whsec_" + b64encode(bytes(range(key_bytes))).decode()
    headers = signed_headers([secret], "0197-a", now_s(), text.encode())
    Webhook(secret).verify(text, headers, json_parse=False)


def test_while_a_secret_rotates_the_old_and_the_new_one_verify() -> None:
    new, old, other = (new_secret("v1") for _ in range(3))
    headers = signed_headers([new, old], "id", now_s(), BODY)
    for secret in (new, old):
        Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, headers)


def test_a_receiver_moves_from_one_scheme_to_the_other_without_a_gap() -> None:
    symmetric, asymmetric = new_secret("v1"), new_secret("v1a")
    headers = signed_headers([asymmetric, symmetric], "id", now_s(), BODY)
    Webhook(symmetric).verify(BODY, headers)
    verify_v1a(public_key(asymmetric) or "", headers, BODY)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "body"])
def test_no_part_can_be_changed(name: str) -> None:
    symmetric, asymmetric = new_secret("v1"), new_secret("v1a")
    headers = signed_headers([symmetric, asymmetric], "10", now_s(), BODY)
    body = BODY
    if name == "body":
        body = BODY.replace(b"failed", b"succeeded")
    else:
        headers[name] = str(int(headers[name]) + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(symmetric).verify(body, headers)
    with pytest.raises(InvalidSignature):
        verify_v1a(public_key(asymmetric) or "", headers, body)


def test_secrets_have_the_prefixes_and_sizes_of_the_specification() -> None:
    symmetric, asymmetric = new_secret("v1"), new_secret("v1a")
    assert symmetric.startswith("whsec_")
    assert 24 <= len(b64decode(symmetric.removeprefix("whsec_"))) <= 64
    assert public_key(symmetric) is None
    pair = b64decode(asymmetric.removeprefix("whsk_"))
    public = public_key(asymmetric) or ""
    assert public.startswith("whpk_")
    assert pair[32:] == b64decode(public.removeprefix("whpk_"))


def test_an_ed25519_secret_may_be_its_seed_alone() -> None:
    pair = new_secret("v1a")
    seed = "whsk_" + b64encode(b64decode(pair.removeprefix("whsk_"))[:32]).decode()
    assert public_key(seed) == public_key(pair)
    assert signature(seed, "id", 1, BODY) == signature(pair, "id", 1, BODY)


@pytest.mark.parametrize("scheme", ["v1", "v1a"])
def test_no_two_secrets_are_alike(scheme: Literal["v1", "v1a"]) -> None:
    assert len({new_secret(scheme) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "begins with whsec_"),
        ("hunter2", "begins with whsec_"),
        ("whpk_" + b64encode(bytes(32)).decode(), "begins with whsec_"),
        ("whsec_" + b64encode(bytes(23)).decode(), "24 to 64 bytes"),
        ("whsec_" + b64encode(bytes(65)).decode(), "24 to 64 bytes"),
        ("whsec_not base64!", "not base64"),
        ("whsec_ümlaut", "not base64"),
        ("whsk_" + b64encode(bytes(31)).decode(), "a seed of 32 bytes"),
        ("whsk_" + b64encode(bytes(64)).decode(), "do not belong together"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_quoted(secret: str, reason: str) -> None:
    for use in (public_key, lambda text: signature(text, "id", 1, BODY)):
        with pytest.raises(ValueError, match=reason) as refused:
            use(secret)
        assert len(secret) < 3 or secret[-5:] not in str(refused.value)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\nb", "ü"])
def test_an_id_that_could_be_mistaken_for_more_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="id of a webhook"):
        signed_headers([new_secret("v1")], message_id, 1, BODY)


def test_nothing_goes_out_unsigned() -> None:
    with pytest.raises(ValueError, match="one secret at least"):
        signed_headers([], "id", 1, BODY)
