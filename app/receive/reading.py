"""Reading what a callback needs before it is logged: its run and its own id, no more.

The decoder checks the whole document and builds only the ids, which is many times
cheaper than a full parse. What it refuses is looked at again, slowly and leniently.
"""

from typing import NamedTuple

import msgspec

from app.canonical import NESTING_MAX, Json, canonical, digest, parse

ID_LENGTH_MAX = 200


class _Run(msgspec.Struct):
    run_uid: str


class _Callback(msgspec.Struct):
    run: _Run
    callback_ref_uid: str | None = None


class Ids(NamedTuple):
    """What the log files a callback under."""

    run_uid: str
    callback_ref_uid: str | None
    key: str


class NotJsonError(ValueError):
    """The body is not a JSON document in UTF-8."""


class NotACallbackError(ValueError):
    """The body is JSON, but no callback that this version knows."""


_decode = msgspec.json.Decoder(_Callback).decode


def read_ids(body: bytes) -> Ids:
    """The ids in a callback's body. Raises NotJsonError or NotACallbackError, saying why."""
    try:
        if not body.isascii():
            body.decode("utf-8")  # the decoder does not look into strings that it skips
        callback = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_leniently(body)
    return _ids(body, callback.run.run_uid, callback.callback_ref_uid)


def _read_leniently(body: bytes) -> Ids:
    try:
        value = parse(body)
    except RecursionError:
        raise NotACallbackError(f"nested deeper than {NESTING_MAX} levels") from None
    except ValueError as error:
        raise NotJsonError(f"not a JSON document in UTF-8: {error}") from None
    if not isinstance(value, dict):
        raise NotACallbackError(f"a JSON object was expected, this is {_kind(value)}")
    run = value.get("run")
    if not isinstance(run, dict):
        raise NotACallbackError(f'"run" must be an object; keys seen: {_keys(value)}')
    run_uid, ref = run.get("run_uid"), value.get("callback_ref_uid")
    if not isinstance(run_uid, str):
        raise NotACallbackError(f'"run.run_uid" must be text; keys seen in "run": {_keys(run)}')
    if ref is not None and not isinstance(ref, str):
        raise NotACallbackError(f'"callback_ref_uid" must be text, this is {_kind(ref)}')
    return _ids(body, run_uid, ref)


def _ids(body: bytes, run_uid: str, ref: str | None) -> Ids:
    if not 0 < len(run_uid) <= ID_LENGTH_MAX:
        raise NotACallbackError(f'"run.run_uid" must have 1 to {ID_LENGTH_MAX} characters')
    if "\0" in run_uid:
        raise NotACallbackError('"run.run_uid" has a NUL character')
    if ref is None or not ref.strip():
        return Ids(run_uid, None, "body:" + _digest(body))
    if len(ref) > ID_LENGTH_MAX:
        raise NotACallbackError(f'"callback_ref_uid" has over {ID_LENGTH_MAX} characters')
    if "\0" in ref:
        raise NotACallbackError('"callback_ref_uid" has a NUL character')
    return Ids(run_uid, ref, ref)


def _digest(body: bytes) -> str:
    try:
        return digest(canonical(parse(body))).hex()
    except RecursionError:
        raise NotACallbackError(f"nested deeper than {NESTING_MAX} levels") from None


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _keys(value: dict[str, Json]) -> str:
    return ", ".join(str(key)[:40] for key in list(value)[:20]) or "none"
