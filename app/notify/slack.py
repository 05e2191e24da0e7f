"""Events as messages of a Slack incoming webhook, which Mattermost and others understand too.

Text from outside cannot link, mention or call anyone: Slack's three control characters are
escaped, and blocks are `verbatim`, so that bare addresses and names stay plain text.
https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from urllib.parse import quote

from app.canonical import Json, dumps
from app.notify.facts import facts
from app.notify.headlines import headline

BLOCK_TEXT_LENGTH_MAX = 3_000
"""Slack refuses a message with a longer one."""

_GOOD, _BAD, _LOOK, _NEUTRAL = ":white_check_mark:", ":x:", ":warning:", ":information_source:"
_MARKS = {
    "run.succeeded": _GOOD,
    "run.completed": _GOOD,
    "run.failed": _BAD,
    "run.blocked": _BAD,
    "run.invalid": _BAD,
    "run.partial_succeeded": _LOOK,
    "run.incomplete": _LOOK,
    "run.stopped": _LOOK,
    "input.failed": _LOOK,
    "callback.quarantined": _LOOK,
    "callback.conflict": _LOOK,
    "callbacks.lost": _BAD,
    "schedule.missed": _BAD,
    "endpoint.disabled": _BAD,
}

# Mattermost has no `<!channel>`: there the bare word calls everyone.
_CALL = re.compile(r"@(?=(?:all|channel|everyone|here)\b)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"
_LINK_SAFE = "!#$%&'()*+,/:;=?@[]~"


def slack_message(event_type: str, data: Json, *, link: str | None) -> bytes:
    """The body of a POST: a headline, what else is known, and a link to more.

    `text` is what notifications show, and those who know no blocks. `link` is an absolute URL.
    """
    mark = _MARKS.get(event_type, _NEUTRAL)
    sentence = _escaped(headline(event_type, data))
    blocks = [_section(f"{mark} {sentence}")]
    lines = [f"{name}: {_escaped(value)}" for name, value in facts(data)]
    if lines:
        blocks.append({"type": "context", "elements": [_mrkdwn(_joined(lines))]})
    if link:
        blocks.append(_section(f"<{_link_target(link)}|Open in the collector>"))
    return dumps({"text": f"{mark} {sentence}", "blocks": blocks})


def _section(text: str) -> dict[str, Json]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Json]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _joined(lines: list[str]) -> str:
    """As many whole lines as a block may hold: half of an escape would be shown as it is."""
    kept: list[str] = []
    length = 0
    for line in lines:
        length += len(line) + 1
        if length > BLOCK_TEXT_LENGTH_MAX:
            break
        kept.append(line)
    return "\n".join(kept)


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CALL.sub("@" + _ZERO_WIDTH_SPACE, text)


def _link_target(url: str) -> str:
    """`url` so that nothing in it can end the link early."""
    return quote(url, safe=_LINK_SAFE).replace("&", "&amp;")
