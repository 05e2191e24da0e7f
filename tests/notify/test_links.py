"""Signed links: for one path, for a while, unchanged."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.links import LinkSigner

SIGNER = LinkSigner("current secret key")
TIMES = st.integers(0, 10**12 - 1)


def parts(query: str) -> tuple[str, str]:
    read = parse_qs(query, strict_parsing=True)
    return read["expires"][0], read["signature"][0]


@given(st.text(), TIMES)
def test_a_link_opens_its_path_until_it_expires(path: str, expires_s: int) -> None:
    expires, signature = parts(SIGNER.query(path, expires_s))
    assert int(expires) == expires_s
    assert SIGNER.problem(path, expires, signature, expires_s - 1) is None
    assert SIGNER.problem(path, expires, signature, expires_s - 0.001) is None
    assert "has expired" in (SIGNER.problem(path, expires, signature, expires_s) or "")
    assert "has expired" in (SIGNER.problem(path, expires, signature, expires_s + 1) or "")


@given(st.text(), st.text())
def test_a_link_opens_no_other_path(path: str, other: str) -> None:
    expires, signature = parts(SIGNER.query(path, 100))
    if path != other:
        assert "not valid" in (SIGNER.problem(other, expires, signature, 0) or "")


@given(TIMES, TIMES)
def test_the_time_cannot_be_moved(expires_s: int, later_s: int) -> None:
    _, signature = parts(SIGNER.query("/a", expires_s))
    if expires_s != later_s:
        assert "not valid" in (SIGNER.problem("/a", str(later_s), signature, 0) or "")


@given(st.data(), st.characters(codec=None))
def test_no_character_of_the_signature_can_be_changed(data: st.DataObject, character: str) -> None:
    expires, signature = parts(SIGNER.query("/a", 100))
    place = data.draw(st.integers(0, len(signature) - 1))
    changed = signature[:place] + character + signature[place + 1 :]
    if changed != signature:
        assert "not valid" in (SIGNER.problem("/a", expires, changed, 0) or "")


@given(*[st.text(st.characters(codec=None))] * 3)
def test_whatever_is_given_never_raises(path: str, expires: str, signature: str) -> None:
    assert "not valid" in (SIGNER.problem(path, expires, signature, 0) or "")


@pytest.mark.parametrize(
    "expires", ["0100", "+100", " 100", "100 ", "1_00", "\u0661\u0660\u0660", "1e2", "100.0"]
)
def test_a_time_has_one_spelling(expires: str) -> None:
    _, signature = parts(SIGNER.query("/a", 100))
    assert "not valid" in (SIGNER.problem("/a", expires, signature, 0) or "")


def test_time_and_path_cannot_run_into_each_other() -> None:
    _, signature = parts(SIGNER.query("5\n/a", 100))
    assert "not valid" in (SIGNER.problem("/a", "100\n5", signature, 0) or "")


def test_only_who_has_a_genuine_link_hears_that_it_has_expired() -> None:
    assert "not valid" in (SIGNER.problem("/a", "100", "forged", 200) or "")


def test_links_outlive_a_rotation_of_the_secret_key() -> None:
    expires, signature = parts(LinkSigner("earlier").query("/a", 100))
    assert LinkSigner("now", ["earliest", "earlier"]).problem("/a", expires, signature, 0) is None
    assert LinkSigner("now").problem("/a", expires, signature, 0)
    expires, signature = parts(LinkSigner("now", ["earlier"]).query("/a", 100))
    assert LinkSigner("now").problem("/a", expires, signature, 0) is None


@pytest.mark.parametrize("expires_s", [-1, 10**12])
def test_a_time_that_could_not_be_read_again_is_not_signed(expires_s: int) -> None:
    with pytest.raises(ValueError, match="no time"):
        SIGNER.query("/a", expires_s)
