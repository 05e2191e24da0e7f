"""Bodies as pages show them."""

import json

import pytest

from app.canonical import allow_deep_nesting
from app.dashboard.bodies import SHOWN_CHARACTERS, readable


@pytest.fixture(autouse=True)
def deep() -> None:
    allow_deep_nesting()


def test_json_is_laid_out_and_anything_else_is_shown_as_it_came() -> None:
    assert readable(b'{"a":[1]}') == ('{\n  "a": [\n    1\n  ]\n}', True, False, 9)
    assert readable(b"a=\xff\x00b") == ("a=\ufffd\ufffdb", False, False, 5)


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 5_000_000,
        "\N{GRINNING FACE}".encode() * 1_000_000,
        json.dumps({"long": "x" * 500_000}).encode(),
        json.dumps([0] * 300_000).encode(),
        b"[" * 2_000 + b"0," * 400_000 + b"0" + b"]" * 2_000,  # laid out, four gigabytes
        b"[" * 900_000,
    ],
)
def test_no_more_is_shown_than_fits(body: bytes) -> None:
    shown = readable(body)
    assert len(shown.text) == SHOWN_CHARACTERS
    assert shown.is_cut
    assert shown.body_bytes == len(body)
