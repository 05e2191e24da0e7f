"""JSON as the collector compares it: one reading, one canonical form, one digest.

Bodies come from elsewhere and are read liberally but never lossily: integers of any
size stay exact, and text with lone surrogates (legal in JSON escapes, illegal in
UTF-8) is kept with U+FFFD in their place. The raw body stays as it was received.
"""

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

Json = Any  # a value that JSON can hold; named once, since Python cannot express it well

# Python's own int() refuses more digits than this; such a literal is kept as text.
_INT_DIGITS_MAX = 4_000

# Deep enough for any callback; the parsers and serialisers all honour Python's own limit.
NESTING_MAX = 2_500


_decode = msgspec.json.Decoder().decode


def allow_deep_nesting() -> None:
    """Let this process read and write JSON of `NESTING_MAX` levels. Call once, at start."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), NESTING_MAX + 500))


def parse(body: bytes) -> Json:
    """The value of a JSON document in UTF-8.

    Raises ValueError if it is not JSON (NaN and Infinity are not), RecursionError
    if it is nested deeper than `NESTING_MAX` levels. Of repeated keys the last counts.
    """
    try:
        return _decode(body)  # exact at any size of integer, as orjson is not
    except msgspec.MsgspecError:
        return _parse_exactly(body)


def _parse_exactly(body: bytes) -> Json:
    value = json.loads(
        body.decode("utf-8"),
        parse_int=_exact_int,
        parse_float=_finite_float,
        parse_constant=_refuse_constant,
    )
    return _without_lone_surrogates(value) if b"\\u" in body else value


def _exact_int(literal: str) -> int | str:
    return int(literal) if len(literal) <= _INT_DIGITS_MAX else literal


def _finite_float(literal: str) -> float | str:
    number = float(literal)
    return number if math.isfinite(number) else literal


def _refuse_constant(literal: str) -> None:
    raise ValueError(f"{literal} is not JSON")


def _without_lone_surrogates(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {
            _without_lone_surrogates(key): _without_lone_surrogates(item)
            for key, item in value.items()
        }
    return value


def dumps(value: Json) -> bytes:
    """`value` as compact JSON in UTF-8, keys in the order given."""
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, or deeper than orjson goes
        return _dumps_exactly(value, sort_keys=False)


def canonical(value: Json) -> bytes:
    """`value` as canonical JSON: sorted keys, no white space, UTF-8.

    Equal values give equal bytes, whatever their order of keys and spelling were.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _dumps_exactly(value, sort_keys=True)


_BETWEEN = "\0"
_BETWEEN_IN_JSON = b',"\\u0000",'


def canonical_lines(values: Sequence[Json]) -> bytes:
    """`canonical` of each value, with a line feed between two: JSON itself has none.

    All at once, which takes a third of the time.
    """
    mixed: list[Json] = [_BETWEEN] * (2 * len(values) - 1)
    mixed[::2] = values
    try:
        lines = orjson.dumps(mixed, option=orjson.OPT_SORT_KEYS)[1:-1]
    except TypeError:  # one that `canonical` writes exactly, and nothing but that one
        return b"\n".join(map(canonical, values))
    lines = lines.replace(_BETWEEN_IN_JSON, b"\n")
    if lines.count(b"\n") != len(values) - 1:  # a value has the same in it
        return b"\n".join(map(canonical, values))
    return lines


def _dumps_exactly(value: Json, *, sort_keys: bool) -> bytes:
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys
    )
    return text.encode("utf-8")


def digest(data: bytes) -> bytes:
    """16 bytes that stand for `data`: SHA-256, cut (128 bits leave no room for accidents)."""
    return hashlib.sha256(data).digest()[:16]


def comparable(body: bytes) -> bytes:
    """What all spellings of a body share."""
    try:
        return canonical(parse(body))
    except (ValueError, RecursionError):  # at the limit of nesting: only the same bytes compare
        return body
