"""By what results are told apart: the immutable id of whom or what a result is about.

`auto` goes by the action, whose name tells what it returns: of `linkedin-extract-post-likers`
and `linkedin-extract-company-employees` the last word that is known says that they are people.
Where the name tells nothing, or a result lacks the ids of that kind, the most specific id that
it has counts: a profile carries the id of its company, and a post that of its author, so a
message comes before a post, a post before a profile, and a profile before a company.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from app.canonical import Json, canonical, digest
from app.export.records import Result
from app.export.skimming import Skimmed

KeyOf = Callable[[Any], bytes | None]
"""16 bytes that stand for what a result is about; None where nothing says so."""

MESSAGE = ("linkedin_message_id", "message_id", "linkedin_thread_id")
POST = ("linkedin_post_id", "linkedin_post_url", "post_url")
PROFILE = ("linkedin_profile_id", "sales_navigator_profile_id")
COMPANY = ("linkedin_company_id",)
"""Of each kind of result the fields with its id; the first one that a result has counts.

Handles change, so they are none."""
COMMENT = ("linkedin_comment_id", "comment_id")
REACTION = ("linkedin_reaction_id", "reaction_id")
"""Those have the ids of a post and of a profile, and are neither: they have no other key."""

MOST_SPECIFIC_FIRST = (*MESSAGE, *POST, *PROFILE, *COMPANY)

_PEOPLE = (
    "people person profile connection employee member liker commenter reactor engager viewer"
    " visitor follower attendee lead contact invitation inviter"
)
_WORDS: tuple[tuple[tuple[str, ...], str], ...] = (
    ((*PROFILE, *MOST_SPECIFIC_FIRST), _PEOPLE),
    ((*COMPANY, *MOST_SPECIFIC_FIRST), "company companies account"),
    ((*POST, *MOST_SPECIFIC_FIRST), "post activity activities article repost"),
    ((*MESSAGE, *MOST_SPECIFIC_FIRST), "message conversation thread inbox inmail"),
    (COMMENT, "comment"),
    (REACTION, "reaction like"),
)
_BY_WORD = {word: fields for fields, words in _WORDS for word in words.split()}


def key_fields(action_name: str | None) -> Sequence[str]:
    """The fields of which the first that a result of this action has is its key."""
    words = re.findall("[a-z]+", (action_name or "").lower())
    for word in reversed(words):
        fields = _BY_WORD.get(word) or _BY_WORD.get(word.removesuffix("s"))
        if fields:
            return tuple(dict.fromkeys(fields))
    return MOST_SPECIFIC_FIRST


_NUMBERS = {
    name: bytes([number])
    for number, name in enumerate((*MOST_SPECIFIC_FIRST, *COMMENT, *REACTION), start=1)
}
_ANY = b"\0"
_TEXT_BYTES_MAX = 14


def auto_key(action_name: str | None) -> KeyOf:
    """The key of what an action returns, as `auto` has it."""
    fields = [(name, _NUMBERS[name]) for name in key_fields(action_name)]

    def key_of(result: Result | Skimmed) -> bytes | None:
        data = result.data
        if data.__class__ is dict:
            for name, number in fields:
                value = data.get(name)
                if value is not None and (text := key_text(value)):
                    return _key(number, text)
        return None

    return key_of


def key_by(value_of: Callable[[Result | Skimmed], Json]) -> KeyOf:
    """The key by any value of a result."""

    def key_of(result: Result | Skimmed) -> bytes | None:
        text = key_text(value_of(result))
        return _key(_ANY, text) if text else None

    return key_of


def _key(number: bytes, text: bytes) -> bytes:
    """16 bytes: most ids are so short that they fit in as they are, and need no digest.

    The last byte tells: the length of the text, or something beyond any.
    """
    if len(text) <= _TEXT_BYTES_MAX:
        return number + text.ljust(_TEXT_BYTES_MAX, b"\0") + _LENGTHS[len(text)]
    found = digest(number + text)
    return found[:-1] + bytes((found[-1] | 0x80,))


_LENGTHS = [bytes([length]) for length in range(_TEXT_BYTES_MAX + 1)]


def key_text(value: Json) -> bytes:
    """What equal values share, b"" for those that say nothing: null, and what is empty.

    An id is the same as a number and as text: 5 is "5".
    """
    kind = value.__class__
    if kind is str:
        return value.encode()  # type: ignore[no-any-return]
    if kind is int:
        return b"%d" % value
    if value is None or value in ([], {}):
        return b""
    text = canonical(value)
    # A list is not the text that spells it.
    return b"\0" + text if kind is list or kind is dict else text
