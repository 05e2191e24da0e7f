"""What stands in a logged body where something was erased, and how it is read.

    {"$erased": "<32 hex digits>"}            in place of a whole result, input or custom_data
    {…, "$erased": "<32 hex digits>"}         in a result, or a body, of which a part was erased

The digits are the digest of what was there, so that whatever is told apart or counted by its
digest goes on being so: contents, replays, a run's results against Edges' count. Of an input
they are its key, and of custom_data the key of callbacks that name nothing else.
"""

from app.canonical import Json, canonical, comparable, digest, parse

MARK = "$erased"
NO_INPUT = b""
"""The input key of callbacks that name neither an input nor custom_data."""

_NAME = f'"{MARK}"'.encode()
_DIGITS = 32
_BEGIN, _END = b'{"%b":"' % MARK.encode(), b'"}'
_LENGTH = len(_BEGIN) + _DIGITS + len(_END)


def marked(value: Json) -> bytes | None:
    """The digest that an object of which something was erased carries; None of all others."""
    if not isinstance(value, dict) or MARK not in value:
        return None
    digits = value[MARK]
    if not isinstance(digits, str) or len(digits) != _DIGITS:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


def is_erased(value: Json) -> bool:
    """Whether all of it was erased."""
    return marked(value) is not None and len(value) == 1


def digest_of(value: Json) -> bytes:
    """The digest of a value as it was before anything of it was erased."""
    return marked(value) or digest(canonical(value))


def may_lack(body: bytes) -> bool:
    """Whether something of a body may have been erased: what is not read does not tell."""
    return b"$" in body and _NAME in body  # to look for one character first is ten times as quick


def content_digest(body: bytes) -> bytes:
    """What all spellings of a body share, also those of which something was erased."""
    if _NAME in body:
        try:
            found = marked(parse(body))
        except (ValueError, RecursionError):
            found = None
        if found is not None:
            return found
    return digest(comparable(body))


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two bodies say the same, or did before anything of either was erased."""
    return one == other or content_digest(one) == content_digest(other)


def shown(value: Json) -> Json:
    """A value as it is shown: without the mark; None if all of it was erased."""
    if marked(value) is None:
        return value
    return {name: item for name, item in value.items() if name != MARK} or None


def shown_json(text: str) -> str:
    """As `shown`, of canonical JSON of an input or of custom_data."""
    return "null" if _key_in(text.encode()) is not None else text


def mark(value_digest: bytes) -> dict[str, Json]:
    """What stands in place of something with this digest."""
    return {MARK: value_digest.hex()}


def input_key(input_json: bytes, custom_json: bytes) -> bytes:
    """What stands for an input: the digest of the input and the user's own data with it.

    Both as canonical JSON; `NO_INPUT` if both are null.
    """
    if input_json == custom_json == b"null":
        return NO_INPUT
    kept = _key_in(input_json) or _key_in(custom_json)
    return kept or digest(b"[%b,%b]" % (input_json, custom_json))


def _key_in(text: bytes) -> bytes | None:
    if len(text) != _LENGTH or not (text.startswith(_BEGIN) and text.endswith(_END)):
        return None
    try:
        return bytes.fromhex(text[len(_BEGIN) : -len(_END)].decode("ascii"))
    except ValueError:
        return None
