"""Secrets at rest: open to whoever has the key, for the endpoint they were sealed for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.sealing import Seal, SealError

SEAL = Seal("current secret key")


@given(st.text(), st.text())
def test_what_was_sealed_opens(plain: str, context: str) -> None:
    sealed = SEAL.seal(plain, context)
    assert SEAL.open(sealed, context) == plain
    assert Seal("current secret key").open(sealed, context) == plain
    assert SEAL.is_current(sealed)


@given(st.text(min_size=8))
def test_sealed_text_does_not_show_what_it_holds(plain: str) -> None:
    one, other = SEAL.seal(plain, "e"), SEAL.seal(plain, "e")
    assert plain not in one
    assert one != other


@given(st.data(), st.characters())
def test_no_character_can_be_changed(data: st.DataObject, character: str) -> None:
    sealed = SEAL.seal("whsec_abc", "endpoint-1")
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:place] + character + sealed[place + 1 :]
    if changed != sealed:
        with pytest.raises(SealError):
            SEAL.open(changed, "endpoint-1")


@given(st.data())
def test_nothing_can_be_cut_off_or_added(data: st.DataObject) -> None:
    sealed = SEAL.seal("whsec_abc", "endpoint-1")
    length = data.draw(st.integers(0, len(sealed) - 1))
    added = data.draw(st.text(min_size=1, max_size=4))
    for changed in (sealed[:length], sealed + added):
        with pytest.raises(SealError):
            SEAL.open(changed, "endpoint-1")


@given(st.text())
def test_any_text_opens_or_says_why_not(text: str) -> None:
    with pytest.raises(SealError):
        SEAL.open(text, "e")


@given(st.text(), st.text())
def test_a_secret_cannot_be_moved_to_another_endpoint(context: str, other: str) -> None:
    sealed = SEAL.seal("whsec_abc", context)
    if context != other:
        with pytest.raises(SealError, match="of another endpoint"):
            SEAL.open(sealed, other)


def test_another_key_says_what_to_do() -> None:
    sealed = Seal("the key of another replica").seal("whsec_abc", "e")
    with pytest.raises(SealError, match="COLLECTOR_PREVIOUS_SECRET_KEYS"):
        SEAL.open(sealed, "e")


def test_an_earlier_key_opens_until_everything_is_sealed_anew() -> None:
    old = Seal("earlier").seal("whsec_abc", "e")
    rotating = Seal("now", ["earliest", "earlier"])
    assert not rotating.is_current(old)
    anew = rotating.seal(rotating.open(old, "e"), "e")
    assert rotating.is_current(anew)
    assert Seal("now").open(anew, "e") == "whsec_abc"


def test_what_an_older_version_sealed_opens() -> None:
    sealed = "s1.0w1x66ht.5K-_1gF5EH_8pfbtkQxBcBac5ruClThZD2UDZ88nXbcpC_xNtg"
    assert SEAL.open(sealed, "endpoint-1") == "whsec_abc"
