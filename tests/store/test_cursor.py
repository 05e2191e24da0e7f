"""Cursors: what goes in comes out, and nothing else is taken."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.cursor import CursorError, decode, encode


@given(st.text(), st.binary(), st.integers(-(2**63), 2**63 - 1))
def test_a_position_comes_back(text: str, data: bytes, number: int) -> None:
    cursor = encode("results", (text.encode("utf-8", "replace").decode(), data, number))
    assert decode("results", cursor, (str, bytes, int))[1:] == [data, number]
    with pytest.raises(CursorError):
        decode("runs", cursor, (str, bytes, int))
    with pytest.raises(CursorError):
        decode("results", cursor, (str, bytes))


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        decode("results", text, (int, int))
